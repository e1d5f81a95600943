//! nflows (Durkan, Bekasov, Murray, Papamakarios): what its modules' tensors mean. normflows has copies of several.
//!
//! Modules go data -> base, in the order of their list.

use super::nets::{Linear, Mlp, autoregress, couple};
use super::sidecar::Sidecar;
use super::steps::Steps;
use super::weights::Weights;
use super::{ImportError, Imported};
use crate::net::{Activation, Body};
use crate::univariate::{Additive, Affine, MapValues, Parameterization, Scale, Spline, TrainMap, Turned};

/// The tensors and what they do not say.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub weights: &'a Weights,
    pub sidecar: &'a Sidecar,
    pub activation: Activation,
}

pub fn import(weights: &Weights, sidecar: &Sidecar) -> Result<Imported, ImportError> {
    // Nets have ReLU unless it is said otherwise.
    let source = Source { weights, sidecar, activation: sidecar.activation()?.unwrap_or(Activation::Relu) };
    if weights.has("_distribution._log_z") {
        weights.ignore("_distribution._log_z");
    }
    let mut steps = Steps::new(source.features("_transform.")?);
    source.transform("_transform.", &mut steps)?;
    Ok(Imported { steps, context: None })
}

/// The floor of a scale `sigmoid(u+2)+floor`.
pub fn sigmoid_floor(sidecar: &Sidecar) -> Result<f32, ImportError> {
    let word = sidecar.word("scale", "the scale of an affine coupling, such as `sigmoid(u+2)+1e-3`")?;
    let floor = word.replace(' ', "").strip_prefix("sigmoid(u+2)+").and_then(|floor| floor.parse::<f32>().ok());
    floor.filter(|floor| *floor > 0.0).ok_or_else(|| {
        ImportError::unsupported(format!("the scale `{word}`"), "scales of couplings are `sigmoid(u+2)+1e-3`")
    })
}

impl Source<'_> {
    /// How many features the modules of a list have.
    pub fn features(&self, prefix: &str) -> Result<usize, ImportError> {
        for key in self.weights.keys(prefix) {
            let key = format!("{prefix}{key}");
            let owner = key.rsplit_once('.').map_or("", |(owner, _)| owner);
            let name = &key[owner.len()..];
            match name {
                "._permutation" | ".running_mean" | ".log_scale" | ".unconstrained_upper_diag" => {
                    return Ok(self.weights.get(&key)?.values.len());
                }
                ".identity_features" => {
                    let others = self.weights.get(&format!("{owner}.transform_features"))?;
                    return Ok(self.weights.get(&key)?.values.len() + others.values.len());
                }
                ".weight" if owner.ends_with("autoregressive_net.initial_layer") => {
                    return Ok(self.weights.get(&key)?.matrix()?.1);
                }
                _ => {}
            }
        }
        Err(ImportError::unsupported(format!("`{prefix}`"), "it holds none of the transforms that can be imported"))
    }

    /// A module, by the names of its tensors.
    fn transform(&self, prefix: &str, steps: &mut Steps) -> Result<(), ImportError> {
        let has = |name: &str| self.weights.has_any(&format!("{prefix}{name}"));
        if has("_transforms.") {
            for (place, index) in self.weights.indices(&format!("{prefix}_transforms.")).into_iter().enumerate() {
                if place != index {
                    let reason = "it has no tensors, so nothing says what it does";
                    return Err(ImportError::unsupported(format!("`{prefix}_transforms.{place}`"), reason));
                }
                self.transform(&format!("{prefix}_transforms.{index}."), steps)?;
            }
            Ok(())
        } else if has("_transform.") {
            let mut inner = Steps::new(steps.features);
            self.transform(&format!("{prefix}_transform."), &mut inner)?;
            steps.turned(inner);
            Ok(())
        } else if has("_permutation") {
            self.permutation(prefix, steps)
        } else if has("autoregressive_net.") {
            self.autoregressive(prefix, steps)
        } else if has("identity_features") {
            self.coupling(prefix, steps)
        } else if has("lower_entries") {
            self.lu_linear(prefix, steps)
        } else if has("unconstrained_weight") {
            self.batch_norm(prefix, steps)
        } else if has("log_scale") && has("shift") {
            self.act_norm(prefix, steps)
        } else {
            let key = self.weights.keys(prefix).next().unwrap_or_default();
            Err(ImportError::unsupported(format!("`{prefix}{key}`"), "it belongs to none of the transforms that can"))
        }
    }

    /// z_i = x_(permutation_i).
    pub fn permutation(&self, prefix: &str, steps: &mut Steps) -> Result<(), ImportError> {
        steps.permute(self.weights.get(&format!("{prefix}_permutation"))?.permutation(steps.features)?);
        Ok(())
    }

    /// z = L U x + b, with ln(1 + e^u) + eps on the diagonal of U.
    pub fn lu_linear(&self, prefix: &str, steps: &mut Steps) -> Result<(), ImportError> {
        let features = steps.features;
        let eps = self.sidecar.positive("lu_eps", "what is added to the diagonal of an LU-decomposed linear layer")?;
        let entries = features * (features - 1) / 2;
        let vector = |name: &str, length| self.weights.vector(&format!("{prefix}{name}"), length);
        let mut lower = vector("lower_entries", entries)?.iter();
        let mut upper = vector("upper_entries", entries)?.iter();
        let diagonal: Vec<f64> =
            vector("unconstrained_upper_diag", features)?.iter().map(|raw| softplus(*raw) + eps).collect();
        let bias = vector("bias", features)?;
        let mut matrix = Vec::with_capacity(features * features);
        for (row, diagonal) in diagonal.iter().enumerate() {
            for column in 0..features {
                matrix.push(match row.cmp(&column) {
                    std::cmp::Ordering::Greater => lower.next().copied().unwrap_or(0.0),
                    std::cmp::Ordering::Equal => *diagonal,
                    std::cmp::Ordering::Less => upper.next().copied().unwrap_or(0.0),
                });
            }
        }
        steps.linear(&matrix, bias);
        Ok(())
    }

    /// In eval mode: z = w (x - mean) / √(variance + eps) + bias with w = ln(1 + e^u) + eps.
    fn batch_norm(&self, prefix: &str, steps: &mut Steps) -> Result<(), ImportError> {
        let eps = self.sidecar.positive("bn_eps", "what a batch normalization adds to its variance")?;
        let vector = |name: &str| self.weights.vector(&format!("{prefix}{name}"), steps.features);
        let (raw, bias, mean, variance) =
            (vector("unconstrained_weight")?, vector("bias")?, vector("running_mean")?, vector("running_var")?);
        let tracked = format!("{prefix}num_batches_tracked");
        if self.weights.has(&tracked) {
            self.weights.ignore(&tracked);
        }
        let scale: Vec<f64> =
            raw.iter().zip(variance).map(|(raw, variance)| (softplus(*raw) + eps) / (variance + eps).sqrt()).collect();
        let mean = mean.iter().zip(bias).zip(&scale).map(|((mean, bias), scale)| mean - bias / scale).collect();
        steps.units(mean, scale);
        Ok(())
    }

    /// z = e^log_scale x + shift.
    fn act_norm(&self, prefix: &str, steps: &mut Steps) -> Result<(), ImportError> {
        let vector = |name: &str| self.weights.vector(&format!("{prefix}{name}"), steps.features);
        let (log_scale, shift) = (vector("log_scale")?, vector("shift")?);
        let initialized = format!("{prefix}initialized");
        if self.weights.has(&initialized) {
            self.weights.ignore(&initialized);
        }
        let scale: Vec<f64> = log_scale.iter().map(|log| log.exp()).collect();
        let mean = shift.iter().zip(&scale).map(|(shift, scale)| -shift / scale).collect();
        steps.units(mean, scale);
        Ok(())
    }

    /// The spline that the sidecar describes.
    pub fn spline(&self) -> Result<Spline, ImportError> {
        if let Some(tails) = self.sidecar.word_if_given("tails")?.filter(|tails| *tails != "linear") {
            return Err(ImportError::unsupported(format!("tails `{tails}`"), "splines have `linear` tails"));
        }
        let bins = self.sidecar.count("bins", "the number of bins of a spline")?;
        let share = self.sidecar.positive("min_bin", "the smallest share of a bin")?;
        if share * bins as f64 >= 1.0 {
            return Err(self.sidecar.wrong("min_bin", format!("less than a {bins}th")));
        }
        Ok(Spline {
            bins,
            bound: self.sidecar.positive("tail_bound", "where a spline ends")? as f32,
            parameterization: Parameterization::Floored {
                share: share as f32,
                derivative: self.sidecar.positive("min_deriv", "the smallest derivative of a spline")? as f32,
            },
        })
    }

    /// The splines for nets with so many outputs for each feature.
    fn spline_of(&self, key: &str, outputs: usize) -> Result<MapValues, ImportError> {
        let spline = self.spline()?;
        if outputs != 3 * spline.bins - 1 {
            let expected = 3 * spline.bins - 1;
            let reason = format!("a feature has {outputs} parameters, a spline of {} bins {expected}", spline.bins);
            return Err(ImportError::unsupported(format!("`{}`", key.trim_end_matches('.')), reason));
        }
        Ok(spline.into())
    }

    /// z = x (ln(1 + e^u) + eps) + t, the outputs being u and t; or the spline of x.
    fn autoregressive(&self, prefix: &str, steps: &mut Steps) -> Result<(), ImportError> {
        let needed_for = "what an affine autoregressive layer adds to its scale";
        self.made(prefix, steps, || {
            let floor = self.sidecar.positive("eps_scale", needed_for)? as f32;
            Ok(Turned(Affine { scale: Scale::Softplus { floor } }).into())
        })
    }

    /// A masked autoregressive layer, z by x; of two outputs for each feature the second one is the shift.
    pub fn made(
        &self,
        prefix: &str,
        steps: &mut Steps,
        affine: impl FnOnce() -> Result<MapValues, ImportError>,
    ) -> Result<(), ImportError> {
        let features = steps.features;
        let key = format!("{prefix}autoregressive_net.");
        let (mut net, _) = self.net(&key)?;
        if net.inputs() != features {
            return Err(self
                .weights
                .get(&format!("{key}initial_layer.weight"))?
                .misshapen(format!("{features} columns")));
        }
        self.check_degrees(&key, features)?;
        let outputs = net.outputs() / features;
        let map = if outputs == 2 { affine()? } else { self.spline_of(&key, outputs)? };
        net.arrange(features, &map, |feature, parameter| {
            feature * outputs + if outputs == 2 { 1 - parameter } else { parameter }
        });
        let order: Vec<usize> = (0..features).collect();
        autoregress(steps, &order, 0, map, &net)
    }

    /// Whether masks are those of the degrees that lie beside them.
    fn check_degrees(&self, net: &str, features: usize) -> Result<(), ImportError> {
        let mut before: Vec<f64> = (1..=features).map(|degree| degree as f64).collect();
        for layer in self.layers(net)? {
            let key = format!("{layer}degrees");
            if !self.weights.has(&key) {
                continue;
            }
            let (degrees, mask) = (self.weights.get(&key)?, self.weights.get(&format!("{layer}mask"))?);
            let last = layer.ends_with("final_layer.");
            let sees = |own: f64, other: f64| if last { own > other } else { own >= other };
            let expected = degrees.values.iter().flat_map(|own| before.iter().map(move |other| sees(*own, *other)));
            if !expected.eq(mask.bits()?) {
                return Err(ImportError::contradiction(&mask.key, "is not the mask of the degrees beside it"));
            }
            before.clone_from(&degrees.values);
        }
        Ok(())
    }

    /// The prefixes of a net's linear layers, in order.
    fn layers(&self, net: &str) -> Result<Vec<String>, ImportError> {
        let has = |name: &str| self.weights.has_any(&format!("{net}{name}"));
        let mut layers = Vec::new();
        if has("initial_layer.") {
            layers.push("initial_layer.".to_owned());
            for block in self.weights.indices(&format!("{net}blocks.")) {
                if has(&format!("blocks.{block}.linear.")) {
                    layers.push(format!("blocks.{block}.linear."));
                } else {
                    layers.extend((0..2).map(|half| format!("blocks.{block}.linear_layers.{half}.")));
                }
            }
            layers.push("final_layer.".to_owned());
        } else if has("_input_layer.") {
            layers.push("_input_layer.".to_owned());
            let hidden = self.weights.indices(&format!("{net}_hidden_layers."));
            layers.extend(hidden.iter().map(|index| format!("_hidden_layers.{index}.")));
            layers.push("_output_layer.".to_owned());
        } else {
            let key = self.weights.keys(net).next().unwrap_or_default();
            return Err(ImportError::unsupported(format!("`{net}{key}`"), "nets are ResidualNet, MADE or MLP"));
        }
        Ok(layers.into_iter().map(|layer| format!("{net}{layer}")).collect())
    }

    /// A net, with its attribute `hidden_features`, if it has that.
    fn net(&self, prefix: &str) -> Result<(Mlp, Option<usize>), ImportError> {
        for (part, reason) in [
            ("context_layer", "the net is conditioned on a context in a way that none of ours is"),
            ("batch_norm", "the net normalizes batches within"),
            ("preprocessing", "the net prepares its inputs"),
        ] {
            if let Some(key) = self.weights.keys(prefix).find(|key| key.contains(part)) {
                return Err(ImportError::unsupported(format!("`{prefix}{key}`"), reason));
            }
        }
        let prefixes = self.layers(prefix)?;
        let layers = prefixes.iter().map(|layer| Linear::read(self.weights, layer)).collect::<Result<Vec<_>, _>>()?;
        let (plain, mlp) = (
            prefixes.iter().any(|layer| layer.ends_with(".linear.")),
            prefixes.iter().any(|layer| layer.ends_with("_input_layer.")),
        );
        let blocks = if plain { layers.len() - 2 } else { (layers.len() - 2) / 2 };
        if let Some(expected) =
            self.sidecar.count_if_given("num_blocks")?.filter(|expected| !mlp && *expected != blocks)
        {
            let problem = format!("has {blocks} blocks, the sidecar's `num_blocks` is {expected}");
            return Err(ImportError::contradiction(prefix.trim_end_matches('.'), problem));
        }
        let body = if plain || mlp { Body::Plain } else { Body::Residual };
        let hidden_features = (!mlp).then(|| layers[0].outputs);
        Ok((Mlp::new(prefix, layers, body, self.activation)?, hidden_features))
    }

    /// A coupling: the features at `transform_features` are transformed by a net of those at `identity_features`.
    pub fn coupling(&self, prefix: &str, steps: &mut Steps) -> Result<(), ImportError> {
        let features = steps.features;
        let indices = |name: &str| self.weights.get(&format!("{prefix}{name}"))?.indices(features);
        let (kept, transformed) = (indices("identity_features")?, indices("transform_features")?);
        let mut all: Vec<usize> = kept.iter().chain(&transformed).copied().collect();
        all.sort_unstable();
        if !all.into_iter().eq(0..features) {
            let key = format!("{prefix}transform_features");
            return Err(ImportError::contradiction(key, "and `identity_features` do not hold every feature once"));
        }
        let key = format!("{prefix}transform_net.");
        let (mut net, hidden_features) = self.net(&key)?;
        if net.inputs() != kept.len() {
            let reason = format!("it has {} inputs for {} features: a context", net.inputs(), kept.len());
            return Err(ImportError::unsupported(format!("`{}`", net.key), reason));
        }
        let count = transformed.len();
        let outputs = net.outputs() / count.max(1);
        let map: MapValues = match outputs {
            1 => Turned(Additive).into(),
            2 => Turned(Affine { scale: Scale::Sigmoid { floor: sigmoid_floor(self.sidecar)? } }).into(),
            outputs => self.spline_of(&key, outputs)?,
        };
        if let (MapValues::Spline(Spline { bins, .. }), Some(width)) = (map, hidden_features) {
            let root = (width as f64).sqrt();
            net.scale_outputs(|row| if row % outputs < 2 * bins { 1.0 / root } else { 1.0 });
        }
        // Affine: all shifts, then all u.
        net.arrange(count, &map, |feature, parameter| match outputs {
            2 => parameter * count + feature,
            outputs => feature * outputs + parameter,
        });
        couple(steps, &kept, &transformed, 0, map, &net)?;
        if self.weights.has_any(&format!("{prefix}unconditional_transform.")) {
            self.unconditional(&format!("{prefix}unconditional_transform."), &transformed, &kept, steps)?;
        }
        Ok(())
    }

    /// Splines of their own for the features that condition, after they have.
    fn unconditional(
        &self,
        prefix: &str,
        others: &[usize],
        features: &[usize],
        steps: &mut Steps,
    ) -> Result<(), ImportError> {
        let spline = self.spline()?;
        let parts = [("widths", spline.bins), ("heights", spline.bins), ("derivatives", spline.bins - 1)];
        let mut rows = vec![Vec::new(); features.len()];
        for (part, count) in parts {
            let tensor = self.weights.get(&format!("{prefix}unnormalized_{part}"))?;
            if tensor.shape != [features.len(), count] {
                return Err(tensor.misshapen(format!("[{}, {count}]", features.len())));
            }
            for (index, row) in rows.iter_mut().enumerate() {
                row.extend(&tensor.values[index * count..(index + 1) * count]);
            }
        }
        let map = MapValues::from(spline);
        let outputs = TrainMap::<f32>::outputs(&map);
        let mut net = Mlp::constant(prefix, others.len(), rows.concat());
        net.arrange(features.len(), &map, |feature, parameter| feature * outputs + parameter);
        couple(steps, others, features, 0, map, &net)
    }
}

/// ln(1 + e^x).
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
