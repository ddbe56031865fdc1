#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json_fields.h"

namespace elastikv {

/// One step from tokens back to text, at work: takes pieces one by one and gives out what can no
/// longer change.
class DecoderRun {
 public:
  virtual ~DecoderRun() = default;
  virtual void push(std::string piece, std::vector<std::string>& out) = 0;
  /// No piece follows: gives out what was held back.
  virtual void finish(std::vector<std::string>& out) = 0;
};

/// One step from tokens back to text.
class Decoder {
 public:
  virtual ~Decoder() = default;
  /// `fused`: the pieces are parts of one text, whose borders mean nothing, rather than tokens.
  virtual std::unique_ptr<DecoderRun> start(bool fused) const = 0;
  /// Whether what it gives out is fused, given what it takes.
  virtual bool fuses(bool fused) const { return fused; }
};

/// Builds the "decoder" of a tokenizer.json: Sequence, ByteLevel, ByteFallback, Fuse, Metaspace,
/// Replace, Strip. Error naming the key for any other type.
std::unique_ptr<Decoder> make_decoder(const JsonFields& fields);
/// For a tokenizer.json without a decoder: a blank between tokens.
std::unique_ptr<Decoder> make_blank_decoder();

}  // namespace elastikv
