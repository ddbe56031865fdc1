#pragma once

namespace elastikv {

// For headers that name a table of keys and leave its JSON to those who use it.
template <typename T>
class Keys;

}  // namespace elastikv
