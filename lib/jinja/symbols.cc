#include "jinja/symbols.h"

namespace elastikv::jinja {

const Reference* Symbols::find(const std::string& name) const {
  const auto found = references_.find(name);
  if (found != references_.end()) return &found->second;
  return parent_ == nullptr ? nullptr : parent_->find(name);
}

void Symbols::store(const std::string& name) {
  if (stores_.insert(name).second) stored_.push_back(name);
  if (references_.count(name) > 0) return;
  const Reference* outer = parent_ == nullptr ? nullptr : parent_->find(name);
  if (outer != nullptr) {
    const Reference source = *outer;
    define(name, Load::Kind::kCopy, source);
  } else {
    define(name, Load::Kind::kNothing);
  }
}

Reference Symbols::declare(const std::string& name) {
  if (stores_.insert(name).second) stored_.push_back(name);
  const Reference reference = define(name, Load::Kind::kNothing);
  given_.insert(reference.index);
  return reference;
}

void Symbols::join_branches(size_t since) {
  for (size_t i = since; i < stored_.size(); ++i) {
    const std::string& name = stored_[i];
    const Reference* reference = find(name);
    const Reference* outer = parent_ == nullptr ? nullptr : parent_->find(name);
    Load& load = loads_[reference->index];
    load.kind = outer != nullptr ? Load::Kind::kCopy : Load::Kind::kResolve;
    if (outer != nullptr) sources_[reference->index] = *outer;
    given_.erase(reference->index);
  }
}

Scope Symbols::scope(std::set<std::string>& resolved) const {
  Scope made;
  for (const int index : order_) {
    Load load = loads_.at(index);
    made.cleared.push_back(index);
    if (given_.count(index) > 0) continue;
    if (load.kind == Load::Kind::kCopy) load.source = slot(sources_.at(index));
    if (load.kind == Load::Kind::kResolve) resolved.insert(load.name);
    made.loads.push_back(std::move(load));
  }
  return made;
}

Reference Symbols::define(const std::string& name, Load::Kind kind, Reference source) {
  const auto [found, is_new] =
      function_.slots.try_emplace({level_, name}, static_cast<int>(function_.slots.size()));
  const Reference reference{function_.depth, found->second};
  references_[name] = reference;
  if (loads_.count(reference.index) == 0) order_.push_back(reference.index);
  loads_[reference.index] = {kind, reference.index, name, {}};
  if (kind == Load::Kind::kCopy) sources_[reference.index] = source;
  return reference;
}

}  // namespace elastikv::jinja
