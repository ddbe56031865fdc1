// The program over models that fail as $ELASTIKV_FAULT says (support/faulty_model.h): what a broken
// checkpoint, a device without memory or a lost one would do to it.
#include <cstdlib>
#include <memory>
#include <utility>

#include "program.h"
#include "runtime/loading.h"
#include "support/faulty_model.h"

int main(int argc, char** argv) {
  if (const char* text = std::getenv("ELASTIKV_FAULT")) {
    const elastikv::Fault fault = elastikv::Fault::parse(text);
    elastikv::intercept_models([fault](std::unique_ptr<elastikv::Model> model) {
      return std::make_unique<elastikv::FaultyModel>(std::move(model), fault);
    });
  }
  return elastikv::run_program(argc, argv);
}
