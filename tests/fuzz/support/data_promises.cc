#include "fuzz/support/data_promises.h"

#include <filesystem>
#include <system_error>
#include <unordered_set>

#include "base/utf8.h"
#include "fuzz/support/contract.h"
#include "fuzz/support/scratch_folder.h"
#include "support/paths.h"

namespace elastikv::fuzz {

void read_data_file(const std::string& name, std::string_view bytes, DataOptions options) {
  static const ScratchFolder folder;
  options.path = folder.write(name, bytes);
  options.image_root = source_path("tests/unit/datasets/data/qa/images");
  options.image_cache = folder.path() / "cache";
  accepted([&] {
    const DataSet data = read_data(options);
    require(!data.samples.empty(), "a data set has samples");
    std::unordered_set<std::string> ids;
    for (const Sample& sample : data.samples) {
      require(!sample.id.empty() && ids.insert(sample.id).second, "ids are unique");
      require(sample.content.size() == 32, "a sample has a content hash");
      require(is_valid_utf8(sample.id) && is_valid_utf8(sample.question) &&
                  is_valid_utf8(sample.answer),
              "texts are UTF-8");
      if (!sample.problem.empty()) {
        require(options.on_problem == OnProblem::kRecord, "problems are refused");
        continue;
      }
      require(!sample.question.empty(), "a sample without a problem has a question");
      require(!sample.answer.empty() || !options.needs_answers, "and the answer that is needed");
      for (const auto& image : sample.images)
        require(std::filesystem::exists(image), "and images that are there");
    }
  });
  // Images inside data files become files there.
  std::error_code ignored;
  if (std::filesystem::exists(options.image_cache, ignored)) {
    std::filesystem::remove_all(options.image_cache, ignored);
  }
}

}  // namespace elastikv::fuzz
