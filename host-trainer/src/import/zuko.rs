//! zuko (Rozet and others): MAF, NSF, NICE and RealNVP, on any context.
//!
//! A layer goes data -> base: z = x e^(a / (1 + |a| / L)) + t with L = -ln slope, or z is the spline of x. Nets see the
//! features, then the context; each feature has its parameters in one row of the reshaped outputs.

use super::nets::{Mlp, autoregress, couple};
use super::sidecar::Sidecar;
use super::steps::Steps;
use super::weights::Weights;
use super::{ImportError, Imported};
use crate::net::Activation;
use crate::univariate::{Additive, Affine, MapValues, Parameterization, Scale, Spline, TrainMap, Turned};

struct Source<'a> {
    weights: &'a Weights,
    activation: Activation,
    map: MapValues,
}

pub fn import(weights: &Weights, sidecar: &Sidecar) -> Result<Imported, ImportError> {
    let map = map(sidecar)?;
    let needed_for = "the nets' activation, such as `relu`";
    sidecar.word("activation", needed_for)?;
    let activation = sidecar.activation()?.unwrap_or(Activation::Relu);
    // From 0.1.5 to 1.5.0 the base's buffers had no names.
    let [loc, scale] = if weights.has("base._0") { ["base._0", "base._1"] } else { ["base.loc", "base.scale"] };
    let loc = weights.get(loc)?.values.clone();
    let features = loc.len();
    let scale = weights.vector(scale, features)?;
    if scale.iter().any(|scale| *scale <= 0.0) {
        return Err(ImportError::contradiction("base.scale", "is not positive"));
    }
    let prefix = if weights.has_any("transform.transforms.") { "transform.transforms." } else { "transforms." };
    let source = Source { weights, activation, map };
    let mut imported = Imported { steps: Steps::new(features), context: None };
    for (place, index) in weights.indices(prefix).into_iter().enumerate() {
        if place != index {
            let reason = "it has no tensors, so nothing says what it does";
            return Err(ImportError::unsupported(format!("`{prefix}{place}`"), reason));
        }
        source.layer(&format!("{prefix}{index}."), &mut imported)?;
    }
    imported.steps.units(loc, scale.iter().map(|scale| 1.0 / scale).collect());
    Ok(imported)
}

/// What is done to a feature: by the flow's class, or by the name of a univariate transform.
fn map(sidecar: &Sidecar) -> Result<MapValues, ImportError> {
    let flow = sidecar.word("flow", "the class of the flow, `MAF`, `NSF`, `NICE` or `RealNVP`")?;
    let by_flow = match flow {
        "MAF" | "NICE" | "RealNVP" => "affine",
        "NSF" => "spline",
        other => {
            let reason = "of zuko's flows, `MAF`, `NSF`, `NICE` and `RealNVP` can";
            return Err(ImportError::unsupported(format!("the flow `{other}`"), reason));
        }
    };
    let bound = || -> Result<f64, ImportError> {
        let slope = sidecar.positive(
            "slope",
            "zuko's bound of scales, whose default is 1e-3 up to version 1.0.0 and from \
            1.5.0 on, and 1e-4 between them",
        )?;
        if slope < 1.0 { Ok(-slope.ln()) } else { Err(sidecar.wrong("slope", "a number below 1")) }
    };
    match sidecar.word_if_given("univariate")?.unwrap_or(by_flow) {
        "affine" | "MonotonicAffineTransform" => {
            let inverse_bound = (1.0 / bound()?) as f32;
            Ok(Turned(Affine { scale: Scale::Softsign { inverse_bound } }).into())
        }
        "spline" | "MonotonicRQSTransform" => Ok(Spline {
            bins: sidecar.count("bins", "the number of bins of a spline")?,
            bound: sidecar.positive("bound", "where a spline ends")? as f32,
            parameterization: Parameterization::Softclip { inverse_bound: (1.0 / bound()?) as f32 },
        }
        .into()),
        "additive" | "AdditiveTransform" => Ok(Turned(Additive).into()),
        other => {
            let reason = "of zuko's, `affine`, `spline` and `additive` can";
            Err(ImportError::unsupported(format!("the univariate transform `{other}`"), reason))
        }
    }
}

impl Source<'_> {
    fn layer(&self, prefix: &str, imported: &mut Imported) -> Result<(), ImportError> {
        let (order, mask) = (format!("{prefix}order"), format!("{prefix}mask"));
        let all: Vec<usize> = (0..imported.steps.features).collect();
        if self.weights.has(&order) {
            return self.autoregressive(prefix, &order, imported);
        }
        if !self.weights.has(&mask) {
            return self.coupling(prefix, &[], &all, imported);
        }
        let bits = self.weights.get(&mask)?.bits()?;
        if bits.len() != all.len() {
            return Err(self.weights.get(&mask)?.misshapen(format!("{} values", all.len())));
        }
        let (kept, transformed): (Vec<usize>, Vec<usize>) = all.into_iter().partition(|feature| bits[*feature]);
        self.coupling(prefix, &kept, &transformed, imported)
    }

    /// The features in the order of their buckets; those of one bucket do not see each other.
    fn autoregressive(&self, prefix: &str, order: &str, imported: &mut Imported) -> Result<(), ImportError> {
        let features = imported.steps.features;
        let buckets = self.weights.get(order)?.indices(features)?;
        if buckets.len() != features {
            return Err(self.weights.get(order)?.misshapen(format!("{features} values")));
        }
        let mut order: Vec<usize> = (0..features).collect();
        order.sort_by_key(|feature| buckets[*feature]);
        let mut net = self.net(prefix)?;
        let outputs = self.outputs(&net, features)?;
        let context = imported.context(&net, features)?;
        net.arrange(features, &self.map, |position, parameter| order[position] * outputs + parameter);
        autoregress(&mut imported.steps, &order, context, self.map, &net)
    }

    /// A coupling; with nothing that conditions, no context either, the parameters are those of a list.
    fn coupling(
        &self,
        prefix: &str,
        kept: &[usize],
        transformed: &[usize],
        imported: &mut Imported,
    ) -> Result<(), ImportError> {
        let mut net = if self.weights.has_any(&format!("{prefix}phi.")) {
            let rows = self.list(&format!("{prefix}phi."), transformed.len())?;
            Mlp::constant(prefix, kept.len(), rows)
        } else {
            self.net(prefix)?
        };
        let outputs = self.outputs(&net, transformed.len())?;
        let context = imported.context(&net, kept.len())?;
        net.arrange(transformed.len(), &self.map, |feature, parameter| feature * outputs + parameter);
        couple(&mut imported.steps, kept, transformed, context, self.map, &net)
    }

    fn net(&self, prefix: &str) -> Result<Mlp, ImportError> {
        Mlp::zuko(self.weights, &format!("{prefix}hyper."), self.activation)
    }

    /// Parameters of each feature.
    fn outputs(&self, net: &Mlp, features: usize) -> Result<usize, ImportError> {
        let outputs = TrainMap::<f32>::outputs(&self.map);
        if net.outputs() != outputs * features {
            let (found, key) = (net.outputs(), &net.key);
            let problem = format!("gives {found} parameters, but {features} features take {outputs} each");
            return Err(ImportError::contradiction(key, problem));
        }
        Ok(outputs)
    }

    /// Parameters that no net computes, feature after feature.
    fn list(&self, prefix: &str, features: usize) -> Result<Vec<f64>, ImportError> {
        let mut rows = vec![Vec::new(); features];
        for index in self.weights.indices(prefix) {
            let tensor = self.weights.get(&format!("{prefix}{index}"))?;
            if tensor.shape.first() != Some(&features) {
                return Err(tensor.misshapen(format!("{features} rows")));
            }
            let length = tensor.values.len() / features.max(1);
            rows.iter_mut().zip(tensor.values.chunks(length.max(1))).for_each(|(row, values)| row.extend(values));
        }
        Ok(rows.concat())
    }
}
