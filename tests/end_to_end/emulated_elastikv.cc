// The program on a machine with a GPU: it knows `--device emulated` (see
// support/emulated_device/emulated_device.h).
#include "program.h"
#include "support/emulated_device/emulated_device.h"

int main(int argc, char** argv) {
  elastikv::emulated::install();
  return elastikv::run_program(argc, argv);
}
