//! The Rust source that goes with a model file: the type, and the checked static.

use super::{Feature, Model};

/// The source for a model whose file lies beside it under the name `file`. Meant for `include!` in a module of its own:
///
/// ```text
/// mod pump {
///     include!("pump.rs");
/// }
/// ```
#[must_use]
pub fn rust_source(model: &Model, file: &str) -> String {
    let (features, context) = model.metadata().features.split_at(model.architecture().features);
    let quoted = |features: &[Feature], text: fn(&Feature) -> &String| -> String {
        let words: Vec<String> = features.iter().map(|feature| format!("{:?}", text(feature))).collect();
        words.join(", ")
    };
    let core = model.core();
    let monitored = model.architecture().monitor.map_or(String::new(), |monitor| {
        format!(
            "\n\
             /// What readings are made of; as a value, the state of the stream.\n\
             #[allow(dead_code)]\n\
             pub type Signal = {signal};\n\
             \n\
             /// Values of a sample.\n\
             #[allow(dead_code)]\n\
             pub const CHANNELS: usize = {channels};\n\
             \n\
             /// What watches the stream, in static memory: `MODEL.watch` takes samples.\n\
             #[allow(dead_code)]\n\
             pub type Monitor = monitor::Monitor<[f32; D], [u32; D]>;\n",
            signal = monitor.signal.rust_type(),
            channels = monitor.signal.recipe().map_or(monitor.features, |recipe| recipe.channels),
        )
    });
    format!(
        "// Written by `flowlet fit` together with {file}, which it reads. Do not edit: a type that does not fit the file \
         does not compile.\n\
         \n\
         #[allow(unused_imports)]\n\
         use ::flowlet::*;\n\
         \n\
         /// Features of a reading.\n\
         pub const D: usize = {features};\n\
         \n\
         /// Context values that come with each reading.\n\
         #[allow(dead_code)]\n\
         pub const C: usize = {context_values};\n\
         \n\
         /// Features and context values together.\n\
         #[allow(dead_code)]\n\
         pub const VALUES: usize = D + C;\n\
         \n\
         /// The features' names, in the order of a reading.\n\
         #[allow(dead_code)]\n\
         pub const FEATURES: [&str; D] = [{names}];\n\
         \n\
         /// Their units; empty where none was named.\n\
         #[allow(dead_code)]\n\
         pub const UNITS: [&str; D] = [{units}];\n\
         \n\
         /// The names of the context values.\n\
         #[allow(dead_code)]\n\
         pub const CONTEXT: [&str; C] = [{context_names}];\n\
         \n\
         /// The model's type: {bytes} bytes of flash, {macs} multiply-accumulates a score.\n\
         pub type Model = {type};\n\
         \n\
         /// The model, read and checked by the compiler. It lies in flash.\n\
         #[allow(long_running_const_eval)]\n\
         pub static MODEL: Model = Model::from_file(include_bytes!({file:?}));\n\
         \n\
         /// What `MODEL.verify` holds the model in flash to.\n\
         #[allow(dead_code, long_running_const_eval)]\n\
         pub const CHECKSUM: u32 = Model::checksum(include_bytes!({file:?}));\n\
         {monitored}",
        features = features.len(),
        context_values = context.len(),
        context_names = quoted(context, |feature| &feature.name),
        names = quoted(features, |feature| &feature.name),
        units = quoted(features, |feature| &feature.unit),
        bytes = core.size(),
        macs = core.macs(),
        type = model.architecture().rust_type(),
    )
}
