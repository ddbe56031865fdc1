#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace elastikv {

/// The column that a name leads into, of those that a file has: "answers" for "answers.text";
/// empty where there is none.
std::string column_of(std::string_view name, const std::vector<std::string>& columns);

/// The same; Error where there is none, which says what asked for it ("columns.answer is") and
/// which columns the file has.
std::string required_column(const std::string& what, const std::string& name,
                            const std::vector<std::string>& columns, const std::string& file);

/// What a row has under a name that may lead into structs by dots, through lists to each of their
/// entries or, by a number from 0, to one; null for nothing.
nlohmann::json value_at(const nlohmann::json& row, std::string_view name);

/// A text, number or truth value as text; nothing for any other.
std::optional<std::string> as_text(const nlohmann::json& value);

/// The texts that a value holds: itself, the entries of a list (of which an object counts as its
/// `answer`), or those of a list that Python printed; what is null is left out. Nothing where an
/// entry is no text.
std::optional<std::vector<std::string>> as_texts(const nlohmann::json& value);

}  // namespace elastikv
