#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <c10/util/Exception.h>

#include "base/error.h"
#include "models/model.h"

namespace elastikv {

/// What goes wrong in a model, and in which of its calls.
struct Fault {
  enum class Call { kImage, kEmbed, kPrefill, kStatistics, kDecode, kChunk };
  enum class Kind {
    kNan,       ///< one number of the result is none
    kMemory,    ///< a GPU's allocator has no more
    kLost,      ///< a GPU's sticky error: this call and all that come after it fail
    kLibrary,   ///< an exception of a library
    kInternal,  ///< a broken promise of our own
  };
  Call call = Call::kPrefill;
  Kind kind = Kind::kNan;
  int64_t number = 1;   ///< the call of its kind that fails, from 1
  bool always = false;  ///< and those after it

  /// "prefill-nan", "decode-memory@3", "chunk-lost@2+" ("+": and those after it).
  static Fault parse(const std::string& text) {
    Fault fault;
    const auto take = [&](const std::string& word, const auto& names) {
      for (const auto& [name, value] : names) {
        if (word == name) return value;
      }
      throw std::runtime_error("no such fault: " + text);
    };
    const size_t dash = text.find('-');
    const size_t at = text.find('@');
    using Calls = std::vector<std::pair<std::string, Call>>;
    using Kinds = std::vector<std::pair<std::string, Kind>>;
    fault.call = take(text.substr(0, dash), Calls{{"image", Call::kImage},
                                                  {"embed", Call::kEmbed},
                                                  {"prefill", Call::kPrefill},
                                                  {"statistics", Call::kStatistics},
                                                  {"decode", Call::kDecode},
                                                  {"chunk", Call::kChunk}});
    fault.kind = take(text.substr(dash + 1, at == std::string::npos ? at : at - dash - 1),
                      Kinds{{"nan", Kind::kNan},
                            {"memory", Kind::kMemory},
                            {"lost", Kind::kLost},
                            {"library", Kind::kLibrary},
                            {"internal", Kind::kInternal}});
    if (at != std::string::npos) {
      fault.number = std::stoll(text.substr(at + 1));
      fault.always = text.back() == '+';
    }
    return fault;
  }
};

/// A model that computes what another one does, until its fault is due.
class FaultyModel final : public Model {
 public:
  FaultyModel(std::unique_ptr<Model> model, Fault fault)
      : model_(std::move(model)), language_(model_->language(), fault, lost_), fault_(fault) {}

  const LanguageModel& language() const override { return language_; }
  int64_t image_token() const override { return model_->image_token(); }
  at::Tensor encode_image(const ProcessedImage& image, const Observer* observer) const override {
    Trigger trigger(fault_, Fault::Call::kImage, calls_, lost_);
    return trigger.spoil(model_->encode_image(image, observer).clone());
  }
  at::Tensor rotary_positions(int64_t tokens,
                              const std::vector<PlacedImage>& images) const override {
    return model_->rotary_positions(tokens, images);
  }

 private:
  /// One call: throws at its beginning if that is what it is to do.
  class Trigger {
   public:
    Trigger(const Fault& fault, Fault::Call call, int64_t& calls, bool& lost) {
      if (lost) lose();
      if (fault.call != call) return;
      ++calls;
      due_ = calls == fault.number || (fault.always && calls > fault.number);
      if (!due_) return;
      switch (fault.kind) {
        case Fault::Kind::kNan:
          return;
        case Fault::Kind::kMemory:
          throw c10::OutOfMemoryError({"allocator", "CUDACachingAllocator.cpp", 1},
                                      "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a "
                                      "total capacity of 1 GiB");
        case Fault::Kind::kLost:
          lost = true;
          lose();
        case Fault::Kind::kLibrary:
          throw std::runtime_error("a library's error\nwith a stack trace");
        case Fault::Kind::kInternal:
          throw InternalError("internal error at lib/models/llama/llama.cc:159: a broken promise");
      }
    }
    at::Tensor spoil(at::Tensor result) const {
      if (due_ && result.defined()) result.view({-1})[0] = std::numeric_limits<float>::quiet_NaN();
      return result;
    }
    bool due() const { return due_; }

   private:
    [[noreturn]] static void lose() {
      throw c10::AcceleratorError({"launch", "CUDAException.cpp", 1}, /*code=*/700,
                                  "CUDA error: an illegal memory access was encountered\n"
                                  "CUDA kernel errors might be asynchronously reported");
    }
    bool due_ = false;
  };

  class Language final : public LanguageModel {
   public:
    Language(const LanguageModel& model, Fault fault, bool& lost)
        : model_(model), fault_(fault), lost_(lost) {}
    CacheShape cache_shape() const override { return model_.cache_shape(); }
    int64_t query_heads() const override { return model_.query_heads(); }
    int64_t vocab_size() const override { return model_.vocab_size(); }
    int64_t max_positions() const override { return model_.max_positions(); }
    const RotaryTable* rotary(const KVCache& cache) const override { return model_.rotary(cache); }
    at::Tensor embed(const at::Tensor& ids) const override {
      const Trigger trigger(fault_, Fault::Call::kEmbed, embeds_, lost_);
      return trigger.spoil(model_.embed(ids).clone());
    }
    PrefillOutput prefill(const PrefillInput& input, KVCache& cache) const override {
      const Trigger trigger(fault_, Fault::Call::kPrefill, prefills_, lost_);
      const Trigger statistics(fault_, Fault::Call::kStatistics, prefill_statistics_, lost_);
      PrefillOutput output = model_.prefill(input, cache);
      output.logits = trigger.spoil(output.logits);
      if (statistics.due()) {
        PrefillStatistics& last = output.statistics.back();
        last.column_sums = statistics.spoil(last.column_sums);
        last.last_rows = statistics.spoil(last.last_rows);
      }
      return output;
    }
    DecodeOutput decode(const std::vector<DecodeInput>& rows, DecodeGraphs* graphs) const override {
      const Trigger trigger(fault_, Fault::Call::kDecode, decodes_, lost_);
      DecodeOutput output = model_.decode(rows, graphs);
      output.logits = trigger.spoil(output.logits);
      return output;
    }
    at::Tensor decode_chunk(const std::vector<ChunkInput>& rows,
                            const LayerWatch& on_layer) const override {
      const Trigger trigger(fault_, Fault::Call::kChunk, chunks_, lost_);
      return trigger.spoil(model_.decode_chunk(rows, on_layer));
    }
    at::Tensor logits(const at::Tensor& hidden) const override { return model_.logits(hidden); }
    void unrotate_keys(KVCache& cache) const override { model_.unrotate_keys(cache); }

   private:
    const LanguageModel& model_;
    Fault fault_;
    bool& lost_;
    mutable int64_t embeds_ = 0;
    mutable int64_t prefills_ = 0;
    mutable int64_t prefill_statistics_ = 0;
    mutable int64_t decodes_ = 0;
    mutable int64_t chunks_ = 0;
  };

  mutable bool lost_ = false;
  mutable int64_t calls_ = 0;
  std::unique_ptr<Model> model_;
  Language language_;
  Fault fault_;
};

}  // namespace elastikv
