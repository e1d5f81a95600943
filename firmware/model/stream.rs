// Written by `flowlet fit` together with stream.flow, which it reads. Do not edit: a type that does not fit the file does not compile.

#[allow(unused_imports)]
use ::flowlet::*;

/// Features of a reading.
pub const D: usize = 16;

/// Context values that come with each reading.
#[allow(dead_code)]
pub const C: usize = 0;

/// Features and context values together.
#[allow(dead_code)]
pub const VALUES: usize = D + C;

/// The features' names, in the order of a reading.
#[allow(dead_code)]
pub const FEATURES: [&str; D] = ["ts1.mean@8/4", "ts1.difference@8/4", "ts2.mean@8/4", "ts2.difference@8/4", "ts3.mean@8/4", "ts3.difference@8/4", "ts4.mean@8/4", "ts4.difference@8/4", "vs1.mean@8/4", "vs1.difference@8/4", "ce.mean@8/4", "ce.difference@8/4", "cp.mean@8/4", "cp.difference@8/4", "se.mean@8/4", "se.difference@8/4"];

/// Their units; empty where none was named.
#[allow(dead_code)]
pub const UNITS: [&str; D] = ["", "", "", "", "", "", "", "", "", "", "", "", "", "", "", ""];

/// The names of the context values.
#[allow(dead_code)]
pub const CONTEXT: [&str; C] = [];

/// The model's type: 7452 bytes of flash, 2560 multiply-accumulates a score.
pub type Model = Detector<Flow<16, Chain<Standardize<16>, [Chain<Permute<16>, AffineCoupling<8, 8, Int8<2, 4, 1, 4>>>; 4]>>, 128, monitor::Settings<16, 48, signal::Windows<8, 8, 4, 2049, 0, 0, false>>>;

/// The model, read and checked by the compiler. It lies in flash.
#[allow(long_running_const_eval)]
pub static MODEL: Model = Model::from_file(include_bytes!("stream.flow"));

/// What `MODEL.verify` holds the model in flash to.
#[allow(dead_code, long_running_const_eval)]
pub const CHECKSUM: u32 = Model::checksum(include_bytes!("stream.flow"));

/// What readings are made of; as a value, the state of the stream.
#[allow(dead_code)]
pub type Signal = signal::Windows<8, 8, 4, 2049, 0, 0, false>;

/// Values of a sample.
#[allow(dead_code)]
pub const CHANNELS: usize = 8;

/// What watches the stream, in static memory: `MODEL.watch` takes samples.
#[allow(dead_code)]
pub type Monitor = monitor::Monitor<[f32; D], [u32; D]>;
