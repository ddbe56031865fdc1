#include "explain_subject.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/fields.h"
#include "base/log.h"
#include "base/nearest_name.h"
#include "datasets/dataset.h"
#include "image/image.h"
#include "strategies/plugins.h"
#include "strategies/registry.h"
#include "sweep/choices.h"
#include "sweep/config.h"
#include "sweep/engine.h"
#include "sweep/strategy_choice.h"

namespace elastikv {
namespace {

void require_distinct(const std::vector<std::string>& names) {
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (!seen.insert(preset_label(name)).second) fail("--strategy names '{}' twice", name);
  }
}

/// The overrides of one strategy: "NAME.component.parameter=value" is for NAME alone, anything else
/// for all.
std::vector<std::string> overrides_of(const std::string& name, const ExplainOptions& options) {
  std::vector<std::string> overrides;
  for (const std::string& text : options.set) {
    const std::string owner = text.substr(0, text.find('.'));
    const bool owned =
        std::any_of(options.strategies.begin(), options.strategies.end(),
                    [&](const std::string& strategy) { return preset_label(strategy) == owner; });
    if (!owned) {
      overrides.push_back(text);
    } else if (owner == preset_label(name)) {
      overrides.push_back(text.substr(owner.size() + 1));
    }
  }
  return overrides;
}

Subject read_command_line(const ExplainOptions& options) {
  Subject subject;
  subject.model.path = options.model;
  subject.model.device = options.device;
  subject.model.dtype = options.dtype;
  options.prompt_options.apply_to(subject.model);
  subject.images = options.prompt_options.images(options.images);
  subject.seed = options.seed;
  subject.at = options.moment.moment().at;
  subject.budget = options.budget.budget();
  load_plugins(options.plugins);
  require_distinct(options.strategies);
  for (const std::string& name : options.strategies) {
    const std::vector<std::string> overrides = overrides_of(name, options);
    try {
      subject.strategies.push_back({preset_label(name), make_strategy(name, overrides)});
    } catch (const Error& error) {
      if (overrides.empty()) throw;
      fail("{} (with --set {})", error.what(), fmt::join(overrides, " --set "));
    }
  }
  for (const ImageFile& image : subject.images) check_image(image);
  return subject;
}

/// The first model and data set of a sweep, and its first budget unless one is given.
Subject read_sweep_file(const ExplainOptions& options) {
  SweepOverrides overrides;
  for (const std::string& text : options.set) overrides.set.push_back(parse_set_option(text));
  overrides.plugins = options.plugins;
  const SweepConfig config = read_sweep(options.file, overrides);
  load_plugins(config.plugins);
  Subject subject;
  subject.model = config.models.front();
  if (options.budget.given()) {
    subject.budget = options.budget.budget();
  } else if (!config.budgets.empty()) {
    subject.budget = make_budget(config.budgets.front());
  }

  require_distinct(options.strategies);
  // One look is at one prompt: what is compressed at another moment is left out unless it is named.
  std::optional<CompressAt> moment;
  for (const StrategyChoice& choice : config.strategies) {
    const bool named = std::find(options.strategies.begin(), options.strategies.end(),
                                 choice.label) != options.strategies.end();
    if (!named && (!options.strategies.empty() || choice.preset == kFullCache)) continue;
    if (moment.value_or(choice.moment.at) != choice.moment.at) {
      if (!named) continue;
      fail("{}: '{}' is compressed at {}, the strategies before it at {}: name those of one moment",
           options.file, choice.label, compress_at_name(choice.moment.at),
           compress_at_name(*moment));
    }
    moment = choice.moment.at;
    subject.strategies.push_back({choice.label, make_strategy(choice)});
  }
  subject.at = moment.value_or(CompressAt::kPromptEnd);
  // Presets that the sweep does not list can be looked at on its samples too.
  std::vector<std::string> labels;
  for (const StrategyChoice& choice : config.strategies) labels.push_back(choice.label);
  std::vector<std::string> known = labels;
  for (const PresetInfo& preset : list_presets()) known.push_back(preset.name);
  const auto is_in = [](const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  for (const std::string& name : options.strategies) {
    if (!is_in(known, name) && !is_preset_path(name)) {
      fail("{}: has no strategy '{}', and no preset has that name{}", options.file, name,
           suggestion(name, known));
    }
    if (!is_in(labels, name))
      subject.strategies.push_back({preset_label(name), make_strategy(name)});
  }
  if (subject.strategies.empty()) fail("{}: has no strategy but the full cache", options.file);

  const std::unique_ptr<Engines> engines = torch_engines();
  DataOptions data = config.data.front();
  if (!options.sample.empty()) {
    data.sample_ids = {options.sample};
    data.offset = 0;
  }
  data.limit = 1;
  data.needs_answers = false;  // whatever the sweep measures
  const std::unique_ptr<Tokenizer> tokenizer =
      data.tokens ? engines->tokenizer(subject.model) : nullptr;
  DataSet set = read_data(data, check_image, tokenizer.get());
  for (const std::string& note : set.notes) inform("{}: {}", set.name, note);
  subject.sample = std::move(set.samples.front());
  subject.images = subject.sample->images;
  subject.seed = seed_of(config.seed, *subject.sample);
  return subject;
}

}  // namespace

std::string Subject::title() const {
  std::string text = model.path.filename().empty() ? model.path.parent_path().filename().string()
                                                   : model.path.filename().string();
  if (!model.label.empty()) text = model.label;
  if (sample) text += ", sample " + sample->id;
  text += ", " + budget.name();
  if (at != CompressAt::kPromptEnd) text += fmt::format(", compressed at {}", compress_at_name(at));
  return text;
}

Subject read_subject(const ExplainOptions& options) {
  return options.file.empty() ? read_command_line(options) : read_sweep_file(options);
}

std::vector<int64_t> parse_layers(const std::string& text, int64_t layers) {
  std::set<int64_t> chosen;
  if (text.empty()) {
    for (int64_t layer = 0; layer < layers; ++layer) chosen.insert(layer);
  }
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    begin = end + 1;
    const size_t dash = part.find('-', 1);
    int64_t first = 0;
    int64_t last = 0;
    const bool read = parse_int(part.substr(0, dash), first) &&
                      parse_int(dash == std::string::npos ? part : part.substr(dash + 1), last);
    if (!read || first < 0 || last < first)
      fail("--layers: '{}' is no layer (a list such as 0,4,8-11 is needed)", part);
    if (last >= layers)
      fail("--layers: the model has no layer {}, its last is {}", last, layers - 1);
    for (int64_t layer = first; layer <= last; ++layer) chosen.insert(layer);
  }
  return {chosen.begin(), chosen.end()};
}

}  // namespace elastikv
