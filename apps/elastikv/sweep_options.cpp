#include "sweep_options.h"

#include <algorithm>

#include "base/error.h"
#include "runtime/machine.h"
#include "strategies/plugins.h"
#include "strategy_options.h"
#include "usage_error.h"

namespace elastikv {

SweepConfig SweepOptions::read() const {
  SweepOverrides overrides;
  for (const std::string& text : set) overrides.set.push_back(parse_set_option(text));
  if (limit_option->count() > 0) overrides.limit = limit;
  if (device_option->count() > 0) overrides.device = device;
  if (dtype_option->count() > 0) overrides.dtype = dtype;
  if (output_option->count() > 0) overrides.output = output;
  overrides.plugins = plugins;
  overrides.record_problems = keep_going;
  overrides.predict_only = predict_only;
  SweepConfig config = read_sweep(file, overrides);
  load_plugins(config.plugins);
  return config;
}

std::unique_ptr<MemoryLimit> SweepOptions::limit_memory() const {
  if (memory_limit.empty()) return nullptr;
  return std::make_unique<MemoryLimit>(parse_bytes(memory_limit, "--memory-limit"),
                                       resident_bytes());
}

std::vector<std::string> SweepOptions::words() const {
  std::vector<std::string> words{file};
  const auto add = [&](const char* option, const std::string& value) {
    words.insert(words.end(), {option, value});
  };
  for (const std::string& text : set) add("--set", text);
  for (const std::string& plugin : plugins) add("--plugin", plugin);
  if (limit_option->count() > 0) add("--limit", std::to_string(limit));
  if (output_option->count() > 0) add("--output", output);
  if (device_option->count() > 0) add("--device", device);
  if (dtype_option->count() > 0) add("--dtype", dtype);
  if (keep_going) words.emplace_back("--keep-going");
  if (predict_only) words.emplace_back("--predict-only");
  if (!memory_limit.empty()) add("--memory-limit", memory_limit);
  return words;
}

void add_sweep_options(CLI::App& verb, const std::shared_ptr<SweepOptions>& options) {
  verb.add_option("file", options->file, "The sweep's YAML file, such as configs/quickstart.yaml")
      ->required();
  verb.add_option("--set", options->set,
                  "KEY=VALUE replaces a value of the file, such as budgets.keep=0.1-0.9+0.2 or "
                  "strategies=full,elastic; may be repeated")
      ->allow_extra_args(false);
  add_plugin_option(verb, options->plugins);
  options->limit_option =
      verb.add_option("--limit", options->limit, "Use at most so many samples of every data set");
  options->output_option =
      verb.add_option("--output", options->output, "Folder for records and tables");
  options->device_option =
      verb.add_option("--device", options->device, "cpu, cuda or cuda:N, for every model");
  verb.add_flag(
      "--predict-only", options->predict_only,
      "Generate texts and measure nothing: the file's metrics are switched off, the texts "
      "are written to OUTPUT/predictions for 'score' or another judge");
  options->dtype_option = verb.add_option(
      "--dtype", options->dtype, "fp32, bf16 or fp16, or a comma list of them, for every model");
  verb.add_option("--sample-id", options->sample_ids,
                  "Only this sample, or a comma list of them, wherever they are; may be repeated")
      ->allow_extra_args(false)
      ->check(not_empty());
  verb.add_flag("--keep-going", options->keep_going,
                "Record samples that cannot be evaluated (a missing image, a prompt too long) as "
                "failed instead of refusing the sweep");
  verb.add_option("--memory-limit", options->memory_limit,
                  "The most that tensors on the CPU may take, such as 6GiB: cells that need more "
                  "fail, instead of the system ending the program")
      ->check(not_empty());
}

}  // namespace elastikv
