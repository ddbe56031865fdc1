#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "datasets/draft.h"
#include "datasets/file_text.h"
#include "datasets/json_items.h"
#include "datasets/problems.h"

namespace elastikv {

/// The first of several names of a key that an object has with a value; null without any.
const char* present_key(const nlohmann::json& object, std::initializer_list<const char*> keys);

/// Whether an object is what COCO's annotation files are: images and annotations.
bool is_coco(const nlohmann::json& object);

/// What an image may be called in an item, whichever comes first.
const char* image_key(const nlohmann::json& object);

/// What a question may be called, the first that is there: question, instruction, query, prompt.
const char* question_key(const nlohmann::json& object);
/// What an answer may be called, the first that is there: answer, gpt_answer, gpt4_ans, output,
/// answers, gt_answer_details, gt_answer, ground_truth, gt, answer_text, label.
const char* answer_key(const nlohmann::json& object);
/// A key that speaks of an image and is none of those that image_key knows, of an object with
/// none of them; empty without any.
std::string unread_image_key(const nlohmann::json& object);

/// Whether any reader of items looks at a key, so that a column of its name is read.
bool is_read_of_items(const std::string& key);

/// An image by its name, or the image itself in base64, which `text` then keeps.
ImageSource image_called(std::string name, FileText& text);

/// A string or an integer as an id's text; empty after noting that the value is neither.
std::string id_text(const nlohmann::json& value, const char* key, const std::string& where,
                    Problems& problems);

/// A draft with the item's id, index, place and images. The id is that of an entry, else the
/// value of the first of `id_keys` that is there, else the item's index.
Draft begin_draft(const Item& item, std::initializer_list<const char*> id_keys, FileText& text,
                  Problems& problems);

/// Puts the text at a key into `value`. False after noting a problem, which `prefix` begins.
bool read_string(const nlohmann::json& object, const char* key, const std::string& prefix,
                 std::string& value, Draft& draft, Problems& problems);
/// The same of an answer, which may be a number: it is taken as its text.
bool read_answer(const nlohmann::json& object, const char* key, const std::string& prefix,
                 std::string& value, Draft& draft, Problems& problems);

/// The answers at a key that holds one or a list of them, each a text or an object with it as its
/// `answer`. False after noting a problem.
bool read_answers(const nlohmann::json& object, const char* key, std::vector<std::string>& values,
                  Draft& draft, Problems& problems);

/// The texts in their order, each once.
std::vector<std::string> each_once(const std::vector<std::string>& texts);
/// The text that is there most often, of equals the first; there must be one.
const std::string& most_frequent(const std::vector<std::string>& texts);

/// Puts the answer, or the list of accepted ones, at a key into the sample. Of `answers`, which
/// people gave, the most frequent comes first, as the answer that is scored, and each stands once
/// among the references. A number beside `choices` or `options` is a place among them and a number
/// as `label` names a class: neither is a text. What cannot be read is noted where it is needed.
void accept_answers(const nlohmann::json& object, const char* key, bool needed, Draft& draft,
                    Problems& problems);

/// Pieces of a text between separators, without white space around them and without empty ones.
std::vector<std::string> pieces_of(std::string_view text, std::string_view separator);

/// What the item is sorted under; a value that is no text says nothing.
std::vector<std::string> categories_of(const nlohmann::json& object);

/// How often a question places an image.
size_t places_in(std::string_view question);

/// Notes texts that are empty and images that the question places wrongly, as far as they could
/// be read.
void check_texts(Draft& draft, bool needs_answer, Problems& problems);

/// The alternatives of an answer as MM-Vet writes it: apart at "<OR>", parts that are all wanted
/// ("<AND>") in one list of words. Empty for an answer with neither.
std::vector<std::string> alternatives_of(const std::string& answer);

/// A text for messages: cut when it is long.
std::string shortened(std::string_view text);

}  // namespace elastikv
