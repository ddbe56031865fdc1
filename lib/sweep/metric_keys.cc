#include "sweep/metric_keys.h"

#include <string>
#include <vector>

#include "base/keys.h"
#include "base/yaml_values.h"
#include "metrics/rouge_google.h"
#include "metrics/text_metrics.h"

namespace elastikv {
namespace {

/// The scalar says whether there is perplexity, a mapping how as well.
const Keys<MetricChoice>& perplexity_keys() {
  static const Keys<MetricChoice> keys([](Keys<MetricChoice>& keys) {
    keys.add("enabled", &MetricChoice::perplexity, boolean_form(),
             "Whether answers are scored; `perplexity: false` says the same.");
    keys.add("score_last_token", &MetricChoice::score_last_token, boolean_form(),
             "Whether an answer's last token is; `false`: the paper's released evaluation.");
    keys.add("score_end", &MetricChoice::score_end, boolean_form(),
             "Whether the token that ends the model's turn is, too.",
             {.written = Written::kWhereSet, .tag = "end"});
    keys.add("one_pass", &MetricChoice::one_pass, boolean_form(),
             "In one masked pass where a strategy allows it, or always token by token.",
             {.written = Written::kWhereSet});
  });
  return keys;
}

void read_perplexity(const YamlFields& node, MetricChoice& metrics) {
  if (node.is_scalar()) {
    metrics.perplexity = node.as_boolean();
    return;
  }
  perplexity_keys().read(node, metrics);
  if (metrics.score_end && !metrics.score_last_token) {
    node.at("score_end")
        .fail_here(
            "scores what follows the last token, which score_last_token: false leaves "
            "out; one of the two is needed");
  }
}

/// How rouge_score's metrics cut texts into words and sentences.
struct RougeParts {
  std::string tokenizer = "words";
  std::string sentences = "lines";
};

const Keys<RougeParts>& rouge_keys() {
  static const Keys<RougeParts> keys([](Keys<RougeParts>& keys) {
    keys.add(
        "tokenizer", &RougeParts::tokenizer,
        word_form({"words", "characters", "unicode"}, ", needs one of words, characters, unicode"),
        "What counts as a word in rouge1, rouge2, rougeL and rougeLsum.");
    keys.add("sentences", &RougeParts::sentences,
             word_form({"lines", "marks"}, ", needs one of lines, marks"),
             "What ends a sentence in rougeLsum.");
  });
  return keys;
}

/// Puts the words and sentences of `rouge` into the names of rouge_score's metrics, as which they
/// are known everywhere else.
void read_rouge(const YamlFields& node, MetricChoice& metrics) {
  RougeParts parts;
  rouge_keys().read(node, parts);
  bool any = false;
  bool summary = false;
  for (std::string& name : metrics.text) {
    const std::string variant = rouge_variant(name, parts.tokenizer, parts.sentences);
    any = any || !variant.empty();
    summary = summary || name == "rougeLsum";
    if (!variant.empty()) name = variant;
  }
  if (!any) {
    node.fail_here("speaks of rouge1, rouge2, rougeL and rougeLsum, and 'text' lists none of them");
  }
  if (parts.sentences != "lines" && !summary)
    node.at("sentences").fail_here("speaks of rougeLsum, which 'text' does not list");
}

}  // namespace

ValueForm<std::vector<std::string>> metric_names_form() {
  ValueForm<std::vector<std::string>> form = text_list_form();
  form.read = [](const YamlFields& node) {
    std::vector<std::string> names = texts_at(node);
    if (!names.empty()) checked(node, [&] { static_cast<void>(TextMetrics(names)); });
    return names;
  };
  form.takes = "any of `elastikv list metrics`";
  return form;
}

const Keys<MetricChoice>& metric_keys() {
  static const Keys<MetricChoice> keys([](Keys<MetricChoice>& keys) {
    keys.group(
        "perplexity",
        {.read = read_perplexity,
         .write = [](const MetricChoice& metrics) { return perplexity_keys().write(metrics); }},
        perplexity_keys(), "`true`, `false` or mapping", "");
    keys.add("text", &MetricChoice::text, metric_names_form(),
             "Metrics of generated texts; `[]`: none.", {.otherwise = "`[rouge-l-pltrdy]`"});
    keys.group("rouge", {.read = read_rouge}, rouge_keys(), "mapping", "",
               {.written = Written::kNever});
    keys.add("reference", &MetricChoice::reference,
             named_form<TextReference>({TextReference::kFullCache, TextReference::kDataSet},
                                       text_reference_name),
             "What generated texts are compared with: those of the full cache, or the answers.");
    keys.add("agreement", &MetricChoice::agreement, boolean_form(),
             "Whether tokens are compared with the full cache's.");
  });
  return keys;
}

}  // namespace elastikv
