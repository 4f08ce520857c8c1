//! Wire types of the three protocols and the translations between them.
//!
//! Pure: no I/O, no clock, no randomness.
