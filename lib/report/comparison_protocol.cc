#include "report/comparison_protocol.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "text/prompt_format.h"
#include "text/prompt_writer.h"

namespace elastikv {
namespace {

using State = ProtocolPoint::State;

/// What is known of ours: how to say it, and whether it is what theirs is.
struct Ours {
  std::string text;
  State state = State::kUnknown;
};

/// Two texts that mean the same when they are equal.
Ours exactly(std::string text, const std::string& theirs) {
  const State state = text == theirs ? State::kSame : State::kDiffers;
  return {std::move(text), state};
}

/// Everything that a point of a sweep's protocol may depend on.
struct SweepContext {
  const PublishedName& data_name;
  const StoredSweep& sweep;
  const SweepConfig& config;
  const GroupSummary& group;

  const EngineIdentity* engine() const {
    const auto found = sweep.header.engines.find(group.group.model_name);
    return found == sweep.header.engines.end() ? nullptr : &found->second;
  }
};

Ours dtype_of(const SweepContext& context, const std::string& theirs) {
  return exactly(context.group.group.model.dtype, theirs);
}

Ours growth_of(const SweepContext& context, const std::string& theirs) {
  std::set<std::string> growths;
  for (const CellSummary& cell : context.group.cells) {
    if (!cell.cell.budget.keep) continue;
    growths.emplace(growth_name(cell.cell.budget.growth));
  }
  if (growths.empty()) return {"full cache only", State::kUnknown};
  // Of both only the cells count that the table speaks of.
  if (growths.size() > 1) return exactly(theirs, theirs);
  return exactly(*growths.begin(), theirs);
}

/// The cells of a sample decode together, but samples do not.
Ours batch_of(const SweepContext&, const std::string& theirs) { return exactly("1", theirs); }

Ours samples_of(const SweepContext& context, const std::string& theirs) {
  const DataOptions& data = context.group.group.data;
  std::string which = "all";
  if (!data.sample_ids.empty()) {
    which = "chosen by id";
  } else if (data.offset > 0) {
    which = fmt::format("after the first {}", data.offset);
  } else if (data.limit) {
    which = "the first of the file";
  }
  Ours ours{fmt::format("{} ({})", context.group.samples, which), State::kDiffers};
  const bool same_data = label_matches_any(context.data_name.labels, data.name);
  if (std::to_string(context.group.samples) == theirs && same_data) {
    // With a selection of the user's own, equal numbers need not be equal samples.
    ours.state = data.sample_ids.empty() && data.offset == 0 ? State::kSame : State::kUnknown;
  }
  return ours;
}

Ours last_token_of(const SweepContext& context, const std::string& theirs) {
  return exactly(fmt::format("{}", context.config.metrics.score_last_token), theirs);
}

Ours text_metric_of(const SweepContext& context, const std::string& theirs) {
  const std::vector<std::string>& metrics = context.config.metrics.text;
  if (metrics.empty()) return {"none", State::kDiffers};
  const bool measured = std::find(metrics.begin(), metrics.end(), theirs) != metrics.end();
  return {fmt::format("{}", fmt::join(metrics, ", ")), measured ? State::kSame : State::kDiffers};
}

Ours text_reference_of(const SweepContext& context, const std::string& theirs) {
  if (context.config.metrics.text.empty()) return {"no texts", State::kDiffers};
  return exactly(std::string(text_reference_name(context.config.metrics.reference)), theirs);
}

Ours longest_text_of(const SweepContext& context, const std::string& theirs) {
  if (context.config.metrics.text.empty()) return {"no texts", State::kDiffers};
  return exactly(std::to_string(context.config.max_new_tokens), theirs);
}

/// What a prompt format makes of a question with an image, as EngineIdentity keeps it.
std::string rendered(const PromptFormat& format, ImagePlace place) {
  return format.render({{"user", "{question}", 1}}, /*answer_follows=*/true, place).text;
}

Ours prompt_format_of(const SweepContext& context, const std::string& theirs) {
  const std::string& chosen = context.group.group.model.prompt.format;
  const bool is_auto = chosen == PromptSettings::kAuto;
  const std::string said = is_auto ? "as the checkpoint says" : chosen;
  if (chosen == theirs) return {said, State::kSame};
  const EngineIdentity* engine = context.engine();
  if (engine == nullptr || engine->prompt_format.empty()) {
    return {said, is_auto ? State::kUnknown : State::kDiffers};
  }
  const std::vector<PromptFormat> formats = prompt_formats();
  const auto format = std::find_if(formats.begin(), formats.end(),
                                   [&](const PromptFormat& one) { return one.name == theirs; });
  if (format == formats.end()) return {said, State::kUnknown};
  const std::string& text = engine->prompt_format;
  const bool same = text == rendered(*format, ImagePlace::kBefore) ||
                    text == rendered(*format, ImagePlace::kAfter);
  return {same ? said + ", which writes the same" : said, same ? State::kSame : State::kDiffers};
}

Ours aspect_ratio_of(const SweepContext& context, const std::string& theirs) {
  const auto& ratio = context.group.group.model.image_aspect_ratio;
  if (!ratio) return {"as the checkpoint says", State::kUnknown};
  return exactly(std::string(image_aspect_ratio_name(*ratio)), theirs);
}

/// Where images stand that a question does not place: empty when it is not known.
std::string default_place(const SweepContext& context) {
  const CellGroup& group = context.group.group;
  if (!group.data.image_place.empty()) return group.data.image_place;
  ImagePlace place = group.model.prompt.place;
  if (place == ImagePlace::kDefault) {
    const EngineIdentity* engine = context.engine();
    if (engine == nullptr) return "";
    const size_t image = engine->prompt_format.find(kImagePlaceholder);
    const size_t question = engine->prompt_format.find("{question}");
    if (image == std::string::npos || question == std::string::npos) return "";
    place = image < question ? ImagePlace::kBefore : ImagePlace::kAfter;
  }
  return std::string(image_place_name(place));
}

/// Where a question has its first image; `otherwise`: of one that does not say.
std::string place_in(const std::string& question, const std::string& otherwise) {
  const size_t at = question.find(kImagePlaceholder);
  if (at == std::string::npos) return otherwise.empty() ? std::string(kUnknown) : otherwise;
  if (at == 0) return std::string(image_place_name(ImagePlace::kBefore));
  if (question.ends_with(kImagePlaceholder))
    return std::string(image_place_name(ImagePlace::kAfter));
  return "within";
}

Ours image_place_of(const SweepContext& context, const std::string& theirs) {
  const std::string otherwise = default_place(context);
  std::set<std::string> places;
  size_t with_image = 0;
  size_t placed = 0;
  const CellGroup& group = context.group.group;
  const std::vector<StoredSample>* stored =
      context.sweep.samples_of(group.model_name, group.data.name);
  if (stored != nullptr) {
    for (const StoredSample& sample : *stored) {
      if (sample.images.empty()) continue;
      ++with_image;
      placed += sample.question.find(kImagePlaceholder) == std::string::npos ? 0 : 1;
      places.insert(place_in(sample.question, otherwise));
    }
  }
  if (with_image == 0) {
    // The questions are not kept, and may place their images themselves.
    return {otherwise.empty() ? std::string(kUnknown) : otherwise + " (unless a question says)",
            State::kUnknown};
  }
  const std::string text = fmt::format("{}", fmt::join(places, " or "));
  if (theirs != "question") {
    return {text, places.count(std::string(kUnknown)) > 0 ? State::kUnknown
                  : text == theirs                        ? State::kSame
                                                          : State::kDiffers};
  }
  const bool all = placed == with_image;
  return {all ? fmt::format("question ({})", text) : text, all ? State::kSame : State::kDiffers};
}

/// Only a label could say that two weights are the same, and it may be wrong.
Ours weights_of(const SweepContext& context, const std::string&) {
  std::string text = context.group.group.model.path.string();
  const EngineIdentity* engine = context.engine();
  if (engine != nullptr && !engine->weights.empty()) text += ", hash " + engine->weights;
  return {text, State::kUnknown};
}

struct SweepPoint {
  const char* key;
  const char* name;
  Ours (*ours)(const SweepContext&, const std::string& theirs);
};

constexpr SweepPoint kSweepPoints[] = {
    {"dtype", "dtype", dtype_of},
    {"growth", "budget is a fraction of", growth_of},
    {"batch", "batch", batch_of},
    {"samples", "samples", samples_of},
    {"score_last_token", "last answer token scored", last_token_of},
    {"text_metric", "text metric", text_metric_of},
    {"text_reference", "texts compared with", text_reference_of},
    {"max_new_tokens", "new tokens at most", longest_text_of},
    {"prompt_format", "prompt form", prompt_format_of},
    {"image_aspect_ratio", "images made square by", aspect_ratio_of},
    {"picture_place", "image's place", image_place_of},
    {"weights", "weights", weights_of},
};

/// Which samples were taken: a key that belongs to `samples`, no point of its own.
constexpr const char* kWhichSamples = "which";

Ours bench_dtype_of(const StoredBenchModel& model, const std::string& theirs) {
  return exactly(model.dtype, theirs);
}

Ours bench_weights_of(const StoredBenchModel& model, const std::string&) {
  return {model.random_weights ? "random" : "of a checkpoint", State::kUnknown};
}

/// Ours is the full name, as in "NVIDIA A100-SXM4-80GB".
Ours device_of(const StoredBenchModel& model, const std::string& theirs) {
  const std::string& name = model.device_name.empty() ? model.device : model.device_name;
  return {name, name.find(theirs) == std::string::npos ? State::kDiffers : State::kSame};
}

Ours throughput_of(const StoredBenchModel&, const std::string& theirs) {
  return exactly("batch x new tokens / latency of everything", theirs);
}

Ours attention_of(const StoredBenchModel&, const std::string&) {
  return {"returned by none; timed until the device is done", State::kDiffers};
}

struct BenchPoint {
  const char* key;
  Ours (*ours)(const StoredBenchModel&, const std::string& theirs);
};

constexpr BenchPoint kBenchPoints[] = {
    {"dtype", bench_dtype_of},     {"weights", bench_weights_of}, {"device", device_of},
    {"throughput", throughput_of}, {"attention", attention_of},
};

template <typename Points>
auto find_point(const Points& points, std::string_view key) {
  return std::find_if(std::begin(points), std::end(points),
                      [&](const auto& point) { return key == point.key; });
}

ProtocolPoint make_point(const char* name, Ours ours, std::string theirs) {
  const State state = theirs == kUnknown ? State::kUnknown : ours.state;
  return {name, std::move(ours.text), std::move(theirs), state};
}

ProtocolPoint name_point(const char* what, const PublishedName& theirs, const std::string& label) {
  const bool same = label_matches_any(theirs.labels, label);
  return {what, label, theirs.name, same ? State::kSame : State::kDiffers};
}

}  // namespace

std::vector<std::string> protocol_keys(bool bench) {
  std::vector<std::string> keys;
  if (bench) {
    for (const BenchPoint& point : kBenchPoints) keys.emplace_back(point.key);
    return keys;
  }
  for (const SweepPoint& point : kSweepPoints) keys.emplace_back(point.key);
  keys.emplace_back(kWhichSamples);
  return keys;
}

std::vector<ProtocolPoint> sweep_protocol(const PublishedTable& table, const PublishedName& model,
                                          const PublishedName& data, const StoredSweep& sweep,
                                          const SweepConfig& config, const GroupSummary& group) {
  const SweepContext context{data, sweep, config, group};
  std::vector<ProtocolPoint> points{name_point("model", model, group.group.model.label),
                                    name_point("data set", data, group.group.data.name)};
  const std::string which = table.protocol_of(kWhichSamples);
  for (const auto& [key, theirs] : table.protocol) {
    const SweepPoint* point = find_point(kSweepPoints, key);
    if (point == std::end(kSweepPoints)) continue;
    points.push_back(make_point(point->name, point->ours(context, theirs), theirs));
    if (point->ours == samples_of && !which.empty())
      points.back().theirs += fmt::format(" ({})", which);
  }
  return points;
}

std::vector<ProtocolPoint> bench_protocol(const PublishedTable& table, const PublishedName& name,
                                          const StoredBenchModel& model) {
  std::vector<ProtocolPoint> points{name_point("model", name, model.label)};
  for (const auto& [key, theirs] : table.protocol) {
    const BenchPoint* point = find_point(kBenchPoints, key);
    if (point != std::end(kBenchPoints))
      points.push_back(make_point(point->key, point->ours(model, theirs), theirs));
  }
  return points;
}

}  // namespace elastikv
