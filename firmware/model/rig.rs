// Written by `flowlet fit` together with rig.flow, which it reads. Do not edit: a type that does not fit the file does not compile.

#[allow(unused_imports)]
use ::flowlet::*;

/// Features of a reading.
pub const D: usize = 8;

/// Context values that come with each reading.
#[allow(dead_code)]
pub const C: usize = 0;

/// Features and context values together.
#[allow(dead_code)]
pub const VALUES: usize = D + C;

/// The features' names, in the order of a reading.
#[allow(dead_code)]
pub const FEATURES: [&str; D] = ["ts1", "ts2", "ts3", "ts4", "vs1", "ce", "cp", "se"];

/// Their units; empty where none was named.
#[allow(dead_code)]
pub const UNITS: [&str; D] = ["degC", "degC", "degC", "degC", "mm/s", "%", "kW", "%"];

/// The names of the context values.
#[allow(dead_code)]
pub const CONTEXT: [&str; C] = [];

/// The model's type: 13248 bytes of flash, 8448 multiply-accumulates a score.
pub type Model = Detector<Flow<8, Chain<Standardize<8>, [Chain<Permute<8>, AffineCoupling<4, 4, Int8<1, 8, 1, 2>>>; 6]>>, 128>;

/// The model, read and checked by the compiler. It lies in flash.
#[allow(long_running_const_eval)]
pub static MODEL: Model = Model::from_file(include_bytes!("rig.flow"));

/// What `MODEL.verify` holds the model in flash to.
#[allow(dead_code, long_running_const_eval)]
pub const CHECKSUM: u32 = Model::checksum(include_bytes!("rig.flow"));
