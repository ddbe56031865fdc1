#include "models/llama/architecture.h"

#include <memory>
#include <string>
#include <utility>

#include "models/llama/config.h"
#include "models/llama/text_model.h"

namespace elastikv {
namespace {

/// A decoder alone; `type` is config.json's model_type where that is missing.
class TextArchitecture final : public Architecture {
 public:
  TextArchitecture(std::string name, std::string type)
      : Architecture(std::move(name)), type_(std::move(type)) {}
  std::unique_ptr<Model> build(const ModelFolder& folder,
                               const WeightReader& weights) const override {
    return std::make_unique<TextModel>(LlamaConfig::read(folder.config, type_), weights);
  }
  void summarize(const ModelFolder& folder, ModelSummary& summary) const override {
    summary.take_decoder(LlamaConfig::read(folder.config, type_));
  }

 private:
  std::string type_;
};

}  // namespace

Architectures llama_architectures() {
  Architectures all;
  all.push_back(std::make_unique<TextArchitecture>("LlamaForCausalLM", "llama"));
  all.push_back(std::make_unique<TextArchitecture>("MistralForCausalLM", "mistral"));
  all.push_back(std::make_unique<TextArchitecture>("Qwen2ForCausalLM", "qwen2"));
  all.push_back(std::make_unique<TextArchitecture>("Qwen3ForCausalLM", "qwen3"));
  return all;
}

}  // namespace elastikv
