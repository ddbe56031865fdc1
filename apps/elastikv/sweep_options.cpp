#include "sweep_options.h"

namespace elastikv {

SweepConfig SweepOptions::read() const {
  SweepOverrides overrides;
  for (const std::string& text : set) overrides.set.push_back(parse_set_option(text));
  if (limit_option->count() > 0) overrides.limit = limit;
  if (device_option->count() > 0) overrides.device = device;
  if (dtype_option->count() > 0) overrides.dtype = dtype;
  if (output_option->count() > 0) overrides.output = output;
  overrides.predict_only = predict_only;
  return read_sweep(file, overrides);
}

void add_sweep_options(CLI::App& verb, const std::shared_ptr<SweepOptions>& options) {
  verb.add_option("file", options->file, "The sweep's YAML file, such as configs/quickstart.yaml")
      ->required();
  verb.add_option("--set", options->set,
                  "KEY=VALUE replaces a value of the file, such as budgets.keep=0.1-0.9+0.2 or "
                  "strategies=full,elastic; may be repeated")
      ->allow_extra_args(false);
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
}

}  // namespace elastikv
