//! The model that this firmware is built with.
//!
//! It is the file that `flowlet fit` writes beside the model file: the committed `model/rig.rs`, or the one that the
//! environment variable `FLOWLET_MODEL` names when the firmware is built. The compiler reads and checks the model
//! file, and its weights lie in flash.

include!(env!("FLOWLET_MODEL_SOURCE"));
