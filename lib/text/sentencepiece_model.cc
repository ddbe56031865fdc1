#include "text/sentencepiece_model.h"

#include <cstdint>

#include <sentencepiece_processor.h>

#include "base/error.h"
#include "base/files.h"
#include "base/utf8.h"

namespace elastikv {
namespace {

/// Numbers of the fields of SentencePiece's sentencepiece_model.proto.
constexpr uint64_t kTrainerSpec = 2;
constexpr uint64_t kNormalizerSpec = 3;
constexpr uint64_t kModelType = 3;
constexpr uint64_t kUnknownSurface = 44;
constexpr uint64_t kAddDummyPrefix = 3;
constexpr uint64_t kRemoveExtraWhitespaces = 4;
constexpr uint64_t kTypeUnigram = 1;
constexpr uint64_t kTypeBpe = 2;

/// Steps through the fields of a message in Protocol Buffers' wire format.
class WireReader {
 public:
  WireReader(std::string_view message, const std::string& origin)
      : rest_(message), origin_(origin) {}

  /// Goes to the next field; false at the end.
  bool next() {
    if (rest_.empty()) return false;
    const uint64_t tag = read_varint();
    field = tag >> 3;
    number = 0;
    bytes = {};
    switch (tag & 7) {
      case 0:
        number = read_varint();
        break;
      case 1:
        bytes = take(8);
        break;
      case 2:
        bytes = take(read_varint());
        break;
      case 5:
        bytes = take(4);
        break;
      default:
        refuse();
    }
    return true;
  }

  uint64_t field = 0;
  uint64_t number = 0;     ///< of a field that is an integer
  std::string_view bytes;  ///< of any other

 private:
  [[noreturn]] void refuse() const {
    fail("{}: is no SentencePiece model (the file is cut short or another kind of file)", origin_);
  }
  std::string_view take(uint64_t count) {
    if (count > rest_.size()) refuse();
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  uint64_t read_varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    refuse();
  }

  std::string_view rest_;
  const std::string& origin_;
};

const char* type_name(uint64_t type) {
  switch (type) {
    case kTypeUnigram:
      return "unigram";
    case 3:
      return "word";
    case 4:
      return "character";
    default:
      return "unknown";
  }
}

}  // namespace

struct SentencePieceModel::Processor {
  sentencepiece::SentencePieceProcessor library;
};

SentencePieceModel::SentencePieceModel(const std::filesystem::path& file, bool without_dummy_prefix)
    : origin_(file.string()), processor_(std::make_unique<Processor>()), unknown_text_(" \u2047 ") {
  std::string bytes = read_file(file);
  // Of two messages for one field the later adds to the earlier: this unsets one setting.
  if (without_dummy_prefix) bytes.append("\x1A\x02\x18\x00", 4);
  uint64_t type = kTypeUnigram;
  for (WireReader model(bytes, origin_); model.next();) {
    if (model.field == kTrainerSpec) {
      for (WireReader trainer(model.bytes, origin_); trainer.next();) {
        if (trainer.field == kModelType) type = trainer.number;
        if (trainer.field == kUnknownSurface) unknown_text_ = trainer.bytes;
      }
    } else if (model.field == kNormalizerSpec) {
      for (WireReader normalizer(model.bytes, origin_); normalizer.next();) {
        if (normalizer.field == kAddDummyPrefix) adds_dummy_prefix_ = normalizer.number != 0;
        if (normalizer.field == kRemoveExtraWhitespaces) {
          removes_extra_blanks_ = normalizer.number != 0;
        }
      }
    }
  }
  if (type != kTypeBpe) {
    fail("{}: is a SentencePiece model of type {}, which is not supported; supported: BPE", origin_,
         type_name(type));
  }
  const auto status = processor_->library.LoadFromSerializedProto(bytes);
  if (!status.ok()) fail("{}: SentencePiece cannot load it: {}", origin_, status.message());
  size_ = processor_->library.GetPieceSize();
  // SentencePiece takes any bytes, and what is decoded would not be UTF-8 either.
  for (int id = 0; id < processor_->library.GetPieceSize(); ++id) {
    if (!is_valid_utf8(processor_->library.IdToPiece(id))) {
      fail("{}: piece {} is not UTF-8; the file is damaged", origin_, id);
    }
  }
  if (!is_valid_utf8(unknown_text_)) {
    fail("{}: unk_surface, the text of unknown tokens, is not UTF-8; the file is damaged", origin_);
  }
}

SentencePieceModel::~SentencePieceModel() = default;

void SentencePieceModel::encode(std::string_view text, std::vector<int64_t>& ids) const {
  std::vector<int> found;
  const auto status = processor_->library.Encode(text, &found);
  if (!status.ok()) fail("{}: SentencePiece cannot encode a text: {}", origin_, status.message());
  ids.insert(ids.end(), found.begin(), found.end());
}

std::optional<int64_t> SentencePieceModel::find(std::string_view piece) const {
  const int id = processor_->library.PieceToId(piece);
  if (processor_->library.IdToPiece(id) != piece) return std::nullopt;
  return id;
}

std::string SentencePieceModel::piece(int64_t id) const {
  return processor_->library.IdToPiece(static_cast<int>(id));
}

PieceKind SentencePieceModel::kind(std::string_view piece) const {
  const int id = processor_->library.PieceToId(piece);
  if (processor_->library.IsUnknown(id)) return PieceKind::kUnknown;
  if (processor_->library.IsControl(id)) return PieceKind::kControl;
  return processor_->library.IsByte(id) ? PieceKind::kByte : PieceKind::kText;
}

}  // namespace elastikv
