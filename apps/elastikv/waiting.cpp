// How long OpenMP's threads spin while they wait for each other.
//
// libgomp's threads spin for 300,000 rounds before they sleep, which takes longer than most layers
// of a small model. Where something else keeps the processors busy, a thread that has work waits
// for the slices of time that threads without work spin away: an answer of the default model took
// four to five times as long as with one thread. After a thousand rounds they sleep here; on an
// idle machine the next region mostly begins before that.
//
// libgomp reads its environment once, in its constructor, so the variable has to be there before
// the program starts. The program therefore starts itself again, before any constructor has run:
// that takes the dynamic loader's 20 ms, not the half second of LibTorch's own constructors. What a
// user has set stays.

#include <array>
#include <climits>
#include <cstring>

#include <alloca.h>
#include <sys/auxv.h>
#include <unistd.h>

namespace {

// A name that libgomp knows, and its value.
char spin_count[] = "GOMP_SPINCOUNT=1000";

bool names(const char* entry, const char* variable) {
  const size_t length = std::strlen(variable);
  return std::strncmp(entry, variable, length) == 0 && entry[length] == '=';
}

/// Runs before the constructors of libraries, libc's among them: system calls alone, no allocation.
void wait_briefly(int /*count*/, char** arguments, char** environment) {
  size_t size = 0;
  for (; environment[size] != nullptr; ++size) {
    if (names(environment[size], "GOMP_SPINCOUNT")) return;
    // An empty one says nothing.
    if (names(environment[size], "OMP_WAIT_POLICY") &&
        std::strcmp(environment[size], "OMP_WAIT_POLICY=") != 0)
      return;
  }
  // Started by the dynamic loader as its argument: /proc/self/exe is the loader then.
  if (getauxval(AT_BASE) == 0) return;
  // Not /proc/self/exe itself: its name would become the process's.
  std::array<char, PATH_MAX> program{};
  if (readlink("/proc/self/exe", program.data(), program.size() - 1) < 0) return;
  auto** longer = static_cast<char**>(alloca((size + 2) * sizeof(char*)));
  std::memcpy(longer, environment, size * sizeof(char*));
  longer[size] = spin_count;
  longer[size + 1] = nullptr;
  execve(program.data(), arguments, longer);
  // Where that cannot be done, threads spin as long as they always did.
}

using Hook = void (*)(int, char**, char**);
[[gnu::section(".preinit_array"), gnu::used]] const Hook kBeforeConstructors = wait_briefly;

}  // namespace
