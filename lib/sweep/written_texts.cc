#include "sweep/written_texts.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>

#include "runtime/stop_texts.h"

namespace elastikv {

std::vector<WrittenText> write_texts(const TorchModel& model,
                                     const std::vector<TextToWrite>& texts) {
  const Tokenizer& tokenizer = model.reader().tokenizer();
  GreedyOptions options;
  options.max_new_tokens = 0;
  options.end_tokens = model.reader().end_tokens();
  options.graphs = model.graphs();
  std::vector<Sequence*> sequences;
  std::map<const Sample*, StopTexts> stops;
  for (const TextToWrite& text : texts) {
    text.sequence->reserve(text.most);
    sequences.push_back(text.sequence);
    options.most_of_each.push_back(text.most);
    options.max_new_tokens = std::max(options.max_new_tokens, text.most);
    if (!text.sample->stop.empty())
      stops.try_emplace(text.sample, text.sample->stop, tokenizer, texts.size());
  }
  options.ends = [&](size_t sequence, int64_t token) {
    const auto stop = stops.find(texts[sequence].sample);
    return stop != stops.end() && stop->second.add(sequence, token);
  };
  options.on_step = [&](int64_t done, int64_t of, int64_t rows) {
    model.at({"generation", "token", done, of, rows});
  };
  std::vector<GreedyText> greedy = generate_greedy(model.language(), sequences, options);
  model.throw_if_stopped();
  std::vector<WrittenText> written;
  written.reserve(greedy.size());
  for (size_t i = 0; i < greedy.size(); ++i) {
    WrittenText& one = written.emplace_back(WrittenText{std::move(greedy[i]), {}});
    one.text = tokenizer.decode(one.token_ids, /*skip_special=*/true);
    const auto stop = stops.find(texts[i].sample);
    if (stop != stops.end()) one.text = stop->second.cut(std::move(one.text));
  }
  return written;
}

}  // namespace elastikv
