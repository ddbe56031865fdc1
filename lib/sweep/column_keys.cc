#include "sweep/column_keys.h"

#include <string>
#include <utility>
#include <vector>

#include "base/keys.h"
#include "base/yaml_values.h"
#include "datasets/prompt_parts.h"

namespace elastikv {

const Keys<DataColumns>& column_keys() {
  static const Keys<DataColumns> keys([](Keys<DataColumns>& keys) {
    const auto one = [&](const char* name, std::string DataColumns::*member, std::string help,
                         std::string otherwise = "") {
      keys.add(name, member, filled_text_form(), std::move(help),
               {.written = Written::kWhereSet, .otherwise = std::move(otherwise)});
    };
    const auto several = [&](const char* name, std::vector<std::string> DataColumns::*member,
                             std::string help) {
      keys.add(name, member, text_list_form(), std::move(help), {.written = Written::kWhereSet});
    };
    one("question", &DataColumns::question, "The question's column; `a.b` is inside a struct.",
        "`prompt` asks");
    several("images", &DataColumns::images, "Those of the images, in the order they are shown.");
    several("options", &DataColumns::options,
            "That with a list of options, or one for each of them.");
    one("answer", &DataColumns::answer,
        "That of the answer or the list of accepted ones; with options the letter, the text, or "
        "the place from 0.");
    one("id", &DataColumns::id, "That of the ids.", "the row's number");
    several("categories", &DataColumns::categories,
            "Those by which tables by category sort samples.");
    one("category_separator", &DataColumns::category_separator,
        "What parts the categories of a text that names several.", "a text is one category");
    one("context", &DataColumns::context, "That of a text before the question.");
    one("split", &DataColumns::split, "That in which the rows' `split` is looked for.",
        "the files' names");
    one("classes", &DataColumns::classes,
        "That with a list of classes, for metrics; questions do not show it.");
    one("max_new_tokens", &DataColumns::max_new_tokens,
        "That in which a row says where the text to it ends at the latest.",
        "`data.max_new_tokens`");
  });
  return keys;
}

const Keys<PromptParts>& part_keys() {
  static const Keys<PromptParts> keys([](Keys<PromptParts>& keys) {
    ValueForm<std::string> part = text_form();
    part.read = [](const YamlFields& node) {
      std::string text = node.as_string();
      checked(node, [&] { check_part(text); });
      return text;
    };
    const auto add = [&](const char* name, std::string PromptParts::*member, std::string help) {
      keys.add(name, member, part, std::move(help), {.written = Written::kWhereSet});
    };
    add("context", &PromptParts::context, "A document, with what stands around it.");
    add("question", &PromptParts::question, "What is asked behind it.");
    add("answer_prefix", &PromptParts::answer_prefix,
        "What the answer begins with, behind the template's opening of it.");
  });
  return keys;
}

const Keys<ImageTable>& image_table_keys() {
  static const Keys<ImageTable> keys([](Keys<ImageTable>& keys) {
    keys.add("path", &ImageTable::path, filled_path_form(),
             "A Parquet file, or a folder of them; seen from the folder of the data.",
             {.required = true});
    keys.add("split", &ImageTable::split, filled_text_form(),
             "Of a folder's files those of this split.",
             {.written = Written::kWhereSet, .otherwise = "the only one"});
    keys.add("id", &ImageTable::id, filled_text_form(), "The column of the images' ids.");
    keys.add("image", &ImageTable::image, filled_text_form(),
             "That of the images, which are bytes.");
  });
  return keys;
}

}  // namespace elastikv
