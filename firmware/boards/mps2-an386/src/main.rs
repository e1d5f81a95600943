//! The application on an emulated Cortex-M4F.
fn main() {}
