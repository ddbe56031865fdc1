#include "program.h"

int main(int argc, char** argv) { return elastikv::run_program(argc, argv); }
