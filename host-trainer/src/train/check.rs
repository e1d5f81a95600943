//! What a fit demands of its table and options.

use flowlet::layers::continuous::MOST_FEATURES;

use super::error::FitError;
use super::families::{Architecture, BaseFamily, Family, FeatureOrder};
use super::fit::TrainingData;
use super::options::Options;
use crate::quantization::Formats;

/// Refuses what cannot be fitted before anything is computed.
pub(super) fn check(data: &TrainingData<'_>, options: &Options) -> Result<(), FitError> {
    let TrainingData { training, validation, quantization_steps, .. } = data;
    for (purpose, rows, expected) in [("to fit to", training, 8), ("for validation", validation, 2)] {
        if rows.rows() < expected {
            return Err(FitError::TooFewRows { purpose, expected, found: rows.rows() });
        }
    }
    let expected = training.columns();
    for (what, found) in
        [("validation table", validation.columns()), ("list of quantization steps", quantization_steps.len())]
    {
        if found != expected {
            return Err(FitError::FeatureMismatch { what, expected, found });
        }
    }
    let Options { architecture, .. } = options;
    let not_negative = |value: f32| value.is_finite() && value >= 0.0;
    let positive = |value: f32| value.is_finite() && value > 0.0;
    let narrowest = Architecture::narrowest_in_fixed_order(data.features, training.columns() - data.features);
    let rules = [
        (
            "layers",
            architecture.layers >= 2 || architecture.family == Family::Continuous && architecture.layers == 1,
            "at least 2 are needed, or some features are never transformed and never interact",
        ),
        (
            "family",
            architecture.family != Family::Continuous || data.features <= MOST_FEATURES,
            "a continuous flow has at most 32 features: choose another family",
        ),
        (
            "base",
            architecture.family != Family::Continuous || architecture.base == BaseFamily::Normal,
            "flow matching begins at normal points: a continuous flow has the normal base",
        ),
        ("hidden_layers", architecture.hidden_layers > 0, "at least one hidden layer is needed"),
        (
            "hidden",
            architecture.hidden > 0 && architecture.hidden.is_multiple_of(4),
            "a multiple of 4, because the device computes four rows at a time",
        ),
        (
            "order",
            architecture.order.suits(architecture.family),
            "only autoregressive layers condition features on others in one order of them all: choose another family",
        ),
        (
            "hidden",
            architecture.order == FeatureOrder::Mixed || architecture.hidden >= narrowest,
            "in a fixed order, four units for each feature but the first are needed (with a context: for each), or features would never interact",
        ),
        ("members", architecture.members > 0, "at least one is needed"),
        (
            "members",
            architecture.members == 1 || training.columns() == data.features,
            "flows of a mixture see no context: fit one",
        ),
        (
            "members",
            architecture.members == 1 || architecture.family.has_both_directions(),
            "layers of this family have one direction, those of a mixture need both: choose another family, or fit one",
        ),
        (
            "members",
            architecture.members == 1 || options.quantization.formats == Formats::Int8,
            "flows of a mixture have one type, and number formats chosen for each net make several: fit one, or with int8 in every net",
        ),
        ("bound", positive(architecture.bound), "must be above 0"),
        ("batch_rows", options.batch_rows > 0, "must be above 0"),
        ("learning_rate", positive(options.learning_rate), "must be above 0"),
        ("weight_decay", options.weight_decay.is_none_or(not_negative), "must be 0 or above"),
        ("clip_norm", positive(options.clip_norm), "must be above 0"),
        ("noise", options.noise.is_none_or(not_negative), "must be 0 or above"),
        (
            "quantization.budget",
            options.quantization.budget.is_finite() && options.quantization.budget >= 0.0,
            "must be 0 or above",
        ),
        ("averaging", (0.0..1.0).contains(&options.averaging), "must be at least 0 and below 1"),
        ("quantization_steps", quantization_steps.iter().all(|step| not_negative(*step)), "must be 0 or above"),
    ];
    match rules.into_iter().find(|(_, holds, _)| !holds) {
        Some((option, _, problem)) => Err(FitError::Option { option, problem: problem.into() }),
        None => Ok(()),
    }
}
