//! The fakes that tests, `--demo` and benchmarks use.
