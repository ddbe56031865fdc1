#include "jinja/template.h"

#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "jinja/characters.h"
#include "jinja/json_text.h"
#include "jinja/parser.h"
#include "jinja/renderer.h"
#include "jinja/scopes.h"

namespace elastikv::jinja {

Template Template::parse(std::string_view source, std::string name) {
  constexpr size_t kMostBytes = size_t{4} << 20;
  if (source.size() > kMostBytes) fail("{}: a template of more than {} bytes", name, kMostBytes);
  if (!is_valid_utf8(source)) fail("{}: the template is not UTF-8", name);
  auto program = std::make_shared<Program>();
  program->name = std::move(name);
  jinja::parse(source, *program);
  resolve_scopes(*program);
  return Template(std::move(program));
}

std::string Template::render(const nlohmann::ordered_json& variables,
                             const Environment& environment) const {
  Renderer renderer(*program_, environment);
  Value values;
  try {
    values = from_json(renderer, variables);
  } catch (const Error& error) {
    fail("{}: {}", program_->name, error.what());
  }
  if (!values.is(Kind::kDict)) fail("{}: the variables are no object", program_->name);
  return renderer.run(values);
}

std::set<std::string> Template::variables() const { return program_->variables; }

}  // namespace elastikv::jinja
