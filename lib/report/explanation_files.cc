#include "report/explanation_files.h"

#include <utility>

#include "image/drawing.h"
#include "report/explanation_tables.h"
#include "report/table_forms.h"

namespace elastikv {

std::vector<std::string> write_explanations(const std::filesystem::path& folder,
                                            const std::vector<Explanation>& explanations,
                                            const ShownPrompt& prompt) {
  std::vector<std::string> files;
  const auto draw = [&](const std::string& name, const Image& image) {
    write_png(folder / name, image);
    files.push_back(name);
  };
  const auto write = [&](const std::string& name, const Table& table) {
    for (std::string& file : write_table(folder, name, table)) files.push_back(std::move(file));
  };
  for (const Explanation& explanation : explanations) {
    draw(explanation.name + "-kept.png", kept_sheet(explanation, prompt));
    if (explanation.layers.front().importance.defined())
      draw(explanation.name + "-importance.png", importance_sheet(explanation, prompt));
  }
  write("attention_lost", lost_details(explanations));
  if (explanations.size() > 1) {
    draw("agreement.png", agreement_sheet(explanations, prompt.title));
    write("agreement", agreement_details(explanations));
  }
  return files;
}

}  // namespace elastikv
