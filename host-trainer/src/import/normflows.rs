//! normflows (Stimper and others): flows go base -> data, so a reading meets them from the last to the first.

use super::nets::{Mlp, couple};
use super::nflows::Source;
use super::sidecar::Sidecar;
use super::steps::Steps;
use super::weights::Weights;
use super::{ImportError, Imported};
use crate::net::Activation;
use crate::univariate::{Additive, Affine, MapValues, Scale, Turned};

pub fn import(weights: &Weights, sidecar: &Sidecar) -> Result<Imported, ImportError> {
    if let Some(leaky) = sidecar.number_if_given("leaky")?.filter(|leaky| *leaky != 0.0) {
        let reason = "nets have no leaky units";
        return Err(ImportError::unsupported(format!("`leaky` of {leaky}"), reason));
    }
    if let Some(word) = sidecar.word_if_given("output_fn")? {
        return Err(ImportError::unsupported(format!("the `output_fn` `{word}`"), "outputs of nets are linear"));
    }
    if let Some(mode) = sidecar.word_if_given("split_mode")?.filter(|mode| *mode != "channel") {
        return Err(ImportError::unsupported(format!("the split mode `{mode}`"), "couplings split by `channel`"));
    }
    let source = Source { weights, sidecar, activation: sidecar.activation()?.unwrap_or(Activation::Relu) };
    let loc = weights.get("q0.loc")?.values.clone();
    let features = loc.len();
    let scale = weights.vector("q0.log_scale", features)?.iter().map(|log| (-log).exp()).collect();
    let mut steps = Steps::new(features);
    for index in flows(weights, sidecar)?.into_iter().rev() {
        match index {
            Place::Flow(index) => flow(&source, &format!("flows.{index}."), &mut steps)?,
            // Base -> data, the first half comes to the end.
            Place::Swap => steps.permute((features.div_ceil(2)..features).chain(0..features.div_ceil(2)).collect()),
        }
    }
    steps.units(loc, scale);
    Ok(Imported { steps, context: None })
}

enum Place {
    Flow(usize),
    Swap,
}

/// The list of flows, with the swaps, which have no tensors, in its gaps.
fn flows(weights: &Weights, sidecar: &Sidecar) -> Result<Vec<Place>, ImportError> {
    let indices = weights.indices("flows.");
    let swaps = match sidecar.word_if_given("permute_mode")? {
        Some(mode) if mode.starts_with("swap") => true,
        None | Some("shuffle") => false,
        Some(other) => {
            let reason = "flows are permuted by `swap` or `shuffle`";
            return Err(ImportError::unsupported(format!("the permutation `{other}`"), reason));
        }
    };
    let length = indices.last().map_or(0, |last| last + 1);
    let count = match sidecar.count_if_given("flow_count")? {
        Some(count) if count < length => return Err(sidecar.wrong("flow_count", format!("{length} or more"))),
        Some(count) => count,
        // Without it, a swap at the very end would not be seen.
        None if swaps && !is_periodic(&indices) => {
            sidecar.count("flow_count", "whether a swap, which has no tensors, ends the list of flows")?
        }
        None => length,
    };
    let place = |index: usize| {
        if indices.contains(&index) {
            return Ok(Place::Flow(index));
        }
        let reason = "it has no tensors, and the sidecar's `permute_mode` does not say that it swaps";
        swaps.then_some(Place::Swap).ok_or_else(|| ImportError::unsupported(format!("`flows.{index}`"), reason))
    };
    (0..count).map(place).collect()
}

/// Whether the flows with tensors come in equal groups, the last of them whole.
fn is_periodic(indices: &[usize]) -> bool {
    let Some(gap) = (0..).zip(indices).position(|(place, index)| place != *index) else { return false };
    let length = indices.last().map_or(0, |last| last + 1);
    let has = |index: usize| indices.binary_search(&index).is_ok();
    // A group ends with a flow that has tensors: the shortest period from a gap on.
    (gap + 2..=length / 2)
        .any(|period| length.is_multiple_of(period) && (period..length).all(|index| has(index) == has(index - period)))
}

fn flow(source: &Source<'_>, prefix: &str, steps: &mut Steps) -> Result<(), ImportError> {
    let weights = source.weights;
    let has = |name: &str| weights.has_any(&format!("{prefix}{name}"));
    let joined = |name: &str| format!("{prefix}{name}");
    if has("flows.1.param_map.") {
        affine_coupling(source, &joined("flows.1.param_map."), steps)
    } else if has("prqct.") {
        source.coupling(&joined("prqct."), steps)
    } else if has("mprqat.") {
        let only_splines = || Err(ImportError::unsupported(format!("`{prefix}mprqat`"), "it has too few outputs"));
        source.made(&joined("mprqat."), steps, only_splines)
    } else if has("autoregressive_net.") {
        // Base -> data, x = z s + t with s and t by the x before: a density goes feature by feature.
        let mut inner = Steps::new(steps.features);
        source.made(prefix, &mut inner, || {
            let floor =
                source.sidecar.positive("eps_scale", "what an affine autoregressive layer adds to its scale")?;
            Ok(Turned(Affine { scale: Scale::Sigmoid { floor: floor as f32 } }).into())
        })?;
        steps.turned(inner);
        Ok(())
    } else if has("linear.lower_entries") {
        source.permutation(&joined("permutation."), steps)?;
        source.lu_linear(&joined("linear."), steps)
    } else if has("inv_perm") {
        shuffle(weights, prefix, steps)
    } else if has("b") && (has("s.net.") || has("t.net.")) {
        masked_affine(source, prefix, steps)
    } else if has("u") && has("w") {
        Err(ImportError::unsupported(
            format!("`{prefix}u`"),
            "a planar flow base -> data has no inverse, so no density",
        ))
    } else if has("s") && has("t") {
        // (x - t) e^-s.
        let vector = |name: &str| weights.vector(&joined(name), steps.features);
        let (log_scale, shift) = (vector("s")?, vector("t")?);
        if has("data_dep_init_done") {
            weights.ignore(&joined("data_dep_init_done"));
        }
        steps.units(shift.to_vec(), log_scale.iter().map(|log| (-log).exp()).collect());
        Ok(())
    } else {
        let key = weights.keys(prefix).next().unwrap_or_default();
        Err(ImportError::unsupported(format!("`{prefix}{key}`"), "it belongs to none of the flows that can"))
    }
}

/// z_i = x_(inv_perm_i).
fn shuffle(weights: &Weights, prefix: &str, steps: &mut Steps) -> Result<(), ImportError> {
    let order = |name: &str| weights.get(&format!("{prefix}{name}"))?.permutation(steps.features);
    let (perm, inverse) = (order("perm")?, order("inv_perm")?);
    if !perm.iter().all(|index| perm[inverse[*index]] == *index) {
        let problem = "does not undo `perm`";
        return Err(ImportError::contradiction(format!("{prefix}inv_perm"), problem));
    }
    steps.permute(inverse);
    Ok(())
}

/// The first half, rounded up, conditions the second; the outputs are t and u in turn.
fn affine_coupling(source: &Source<'_>, prefix: &str, steps: &mut Steps) -> Result<(), ImportError> {
    let mut net = Mlp::sequential(source.weights, &format!("{prefix}net."), source.activation)?;
    let half = steps.features.div_ceil(2);
    let count = steps.features - half;
    if net.inputs() != half {
        let problem = format!("has {} inputs, half of the features are {half}", net.inputs());
        return Err(ImportError::contradiction(&net.key, problem));
    }
    let outputs = net.outputs() / count.max(1);
    let map: MapValues = match (outputs, net.outputs().checked_rem(count)) {
        (1, Some(0)) => Additive.into(),
        (2, Some(0)) => Affine { scale: scale_map(source.sidecar)? }.into(),
        _ => {
            let problem = format!("gives {} parameters for {count} features", net.outputs());
            return Err(ImportError::contradiction(&net.key, problem));
        }
    };
    net.arrange(count, &map, |feature, parameter| feature * outputs + parameter);
    let all: Vec<usize> = (0..steps.features).collect();
    couple(steps, &all[..half], &all[half..], 0, map, &net)
}

/// By `scale_map`, or as the flow says it: `AffineCouplingBlock(exp)`.
fn scale_map(sidecar: &Sidecar) -> Result<Scale, ImportError> {
    let flow = sidecar.word_if_given("flow")?.unwrap_or_default();
    let named =
        flow.split_once("AffineCouplingBlock(").and_then(|(_, rest)| rest.split_once(')')).map(|(name, _)| name);
    let needed_for = "the scale of an affine coupling, `exp`, `sigmoid` or `sigmoid_inv`";
    let word = match (sidecar.word_if_given("scale_map")?, named) {
        (Some(word), _) | (None, Some(word)) => word,
        (None, None) => sidecar.word("scale_map", needed_for)?,
    };
    match word {
        "exp" => Ok(Scale::Exp),
        "sigmoid" => Ok(Scale::InverseSigmoid),
        // It has no floor.
        "sigmoid_inv" => Ok(Scale::Sigmoid { floor: f32::MIN_POSITIVE }),
        other => {
            let reason = "scales of couplings are `exp`, `sigmoid` or `sigmoid_inv`";
            Err(ImportError::unsupported(format!("the scale map `{other}`"), reason))
        }
    }
}

/// Where b is 1 features pass and condition the others by two nets: z = (x - t) e^-s.
fn masked_affine(source: &Source<'_>, prefix: &str, steps: &mut Steps) -> Result<(), ImportError> {
    let features = steps.features;
    let key = format!("{prefix}b");
    source.weights.vector(&key, features)?;
    let bits = source.weights.get(&key)?.bits()?;
    let (kept, transformed): (Vec<usize>, Vec<usize>) = (0..features).partition(|feature| bits[*feature]);
    let read = |name: &str| -> Result<Option<Mlp>, ImportError> {
        let prefix = format!("{prefix}{name}.net.");
        if !source.weights.has_any(&prefix) {
            return Ok(None);
        }
        let net = Mlp::sequential(source.weights, &prefix, source.activation)?;
        if (net.inputs(), net.outputs()) != (features, features) {
            let problem = format!("has {} inputs and {} outputs, not {features}", net.inputs(), net.outputs());
            return Err(ImportError::contradiction(&net.key, problem));
        }
        Ok(Some(net.select_inputs(&kept)))
    };
    let none = Mlp::constant(prefix, kept.len(), vec![0.0; features]);
    let (mut net, shifts, scales) = match (read("t")?, read("s")?) {
        (Some(t), Some(s)) => (t.beside(s)?, 0, features),
        (Some(t), None) => (t.beside_zeros(features), 0, features),
        (None, Some(s)) => (s.beside_zeros(features), features, 0),
        (None, None) => (none, 0, 0),
    };
    let map = MapValues::from(Affine { scale: Scale::Exp });
    net.arrange(transformed.len(), &map, |feature, parameter| [shifts, scales][parameter] + transformed[feature]);
    couple(steps, &kept, &transformed, 0, map, &net)
}
