// The number of edges of the control flow that were run. `-sanitizer-coverage-trace-pc` puts a call at each edge of each crate; libFuzzer's own
// function of this name ends the program, so the linker leads the calls here. In C, because this file must not be instrumented.
#include <stdint.h>

static uint64_t steps;

void __wrap___sanitizer_cov_trace_pc(void) { steps++; }

uint64_t notariat_fuzz_steps(void) { return steps; }
