//! Models of other libraries: the densities that the libraries computed themselves, in f64, on committed files; and
//! configurations beyond those, against their formulas, written out for random weights in `formulas`.

mod formulas;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use flowlet_trainer::import::Import;
use flowlet_trainer::model::{Body, Model};
use serde_json::{Value, json};

fn read(name: &str) -> Vec<u8> {
    fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/import").join(name)).expect("a committed file")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a row").iter().map(|x| x.as_f64().expect("a number")).collect()
}

fn rows(vectors: &Value, name: &str) -> Vec<Vec<f64>> {
    vectors[name].as_array().expect("rows").iter().map(numbers).collect()
}

fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|value| *value as f32).collect()
}

/// Tensors as a safetensors file has them.
#[derive(Clone, Debug, Default)]
struct Tensors(BTreeMap<String, (&'static str, Vec<usize>, Vec<u8>)>);

impl Tensors {
    fn floats(&mut self, key: impl Into<String>, shape: &[usize], values: &[f64]) {
        let bytes = values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect();
        self.0.insert(key.into(), ("F32", shape.to_vec(), bytes));
    }

    fn integers(&mut self, key: impl Into<String>, values: &[usize]) {
        let bytes = values.iter().flat_map(|value| (*value as i64).to_le_bytes()).collect();
        self.0.insert(key.into(), ("I64", vec![values.len()], bytes));
    }

    fn bits(&mut self, key: impl Into<String>, shape: &[usize], values: &[bool]) {
        self.0.insert(key.into(), ("BOOL", shape.to_vec(), values.iter().map(|bit| u8::from(*bit)).collect()));
    }

    fn file(&self) -> Vec<u8> {
        let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
        for (key, (dtype, shape, bytes)) in &self.0 {
            let offsets = [data.len(), data.len() + bytes.len()];
            header.insert(key.clone(), json!({"dtype": dtype, "shape": shape, "data_offsets": offsets}));
            data.extend(bytes);
        }
        let header = serde_json::to_vec(&header).expect("JSON");
        [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
    }

    fn of(file: &[u8]) -> Self {
        let length = u64::from_le_bytes(file[..8].try_into().expect("eight bytes")) as usize;
        let header: BTreeMap<String, Value> = serde_json::from_slice(&file[8..8 + length]).expect("JSON");
        let mut tensors = Self::default();
        for (key, entry) in header.into_iter().filter(|(key, _)| key != "__metadata__") {
            let offsets = numbers(&entry["data_offsets"]);
            let bytes = file[8 + length..][offsets[0] as usize..offsets[1] as usize].to_vec();
            let dtype = ["F32", "I64", "BOOL"].into_iter().find(|name| entry["dtype"] == **name).expect("a type");
            tensors.0.insert(key, (dtype, numbers(&entry["shape"]).iter().map(|size| *size as usize).collect(), bytes));
        }
        tensors
    }

    fn get(&self, key: &str) -> Vec<f64> {
        let (_, _, bytes) = &self.0[key];
        bytes.chunks(4).map(|bytes| f64::from(f32::from_le_bytes(bytes.try_into().expect("four bytes")))).collect()
    }
}

fn imported(name: &str, weights: &[u8], sidecar: &[u8]) -> Model {
    let import = Import::new(weights, sidecar).unwrap_or_else(|error| panic!("{name}: {error}"));
    import.model().unwrap_or_else(|error| panic!("{name}: {error}"))
}

const NAMES: [&str; 7] = [
    "zuko_maf",
    "zuko_nsf_ar",
    "zuko_realnvp",
    "nflows_maf_bn",
    "nflows_rq_coupling_lu",
    "nflows_simple_realnvp",
    "normflows_affine_coupling",
];

fn double(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

/// The farthest that f32 and f64 were from the library.
#[derive(Debug, Default)]
struct Farthest {
    /// Nats.
    log_prob: f64,
    /// Relative.
    log_prob_f64: f64,
    z: f64,
    z_f64: f64,
    round_trip: f64,
    round_trip_f64: f64,
    their_round_trip: f64,
}

#[test]
fn densities_are_those_of_the_libraries() {
    for name in NAMES {
        let (json, weights) = (read(&format!("{name}.json")), read(&format!("{name}.safetensors")));
        let vectors: Value = serde_json::from_slice(&json).expect("vectors");
        let model = imported(name, &weights, &json);
        let scorer = model.scorer();
        // The z of normflows are those before the base's own shift and scale.
        let tensors = Tensors::of(&weights);
        let (shift, scale) = if name.starts_with("normflows") {
            (tensors.get("q0.loc"), tensors.get("q0.log_scale").iter().map(|log| log.exp()).collect())
        } else {
            (vec![0.0; 4], vec![1.0; 4])
        };
        let expected_log_probs = numbers(&vectors["log_prob_f64"]);
        let mut farthest = Farthest::default();
        let body = Body::new(model.body());
        let layers = model.architecture().layers.view(&mut body.as_bytes()).expect("a model");
        for (((x, z), expected), theirs) in rows(&vectors, "x")
            .iter()
            .zip(rows(&vectors, "z_f64"))
            .zip(&expected_log_probs)
            .zip(rows(&vectors, "roundtrip_x_f32"))
        {
            let z: Vec<f64> = z.iter().zip(&shift).zip(&scale).map(|((z, shift), scale)| (z - shift) / scale).collect();
            let (found_z, found) = scorer.log_prob_f64(x, &[]);
            let relative = (found - expected).abs() / expected.abs();
            assert!(relative < 1e-7, "{name} at {x:?}: {found}, the library {expected}, by {relative:e}");
            farthest.log_prob_f64 = farthest.log_prob_f64.max(relative);
            for (found, z) in found_z.iter().zip(&z) {
                let distance = (found - z).abs() / (1.0 + z.abs());
                assert!(distance < 2e-7, "{name} at {x:?}: z {found_z:?}, the library's {z:?}");
                farthest.z_f64 = farthest.z_f64.max(distance);
            }

            let x = single(x);
            let found = f64::from(scorer.log_prob(&x, &[]).expect("a density"));
            let distance = (found - expected).abs();
            // At more than a hundred deviations, sums in the nets cancel, and their rounding in f32 is what is left: nets in
            // f64 in an otherwise single-precision flow are within 1e-6 there.
            let share = if *expected < -5e3 { 5e-5 } else { 1e-5 };
            let bound = (share * expected.abs()).max(5e-4);
            assert!(distance < bound, "{name} at {x:?}: {found}, the library {expected}");
            farthest.log_prob = farthest.log_prob.max(distance);
            let latent = scorer.latent(&x, &[]).expect("base coordinates");
            for (found, z) in latent.iter().zip(&z) {
                let distance = (f64::from(*found) - z).abs() / (1.0 + z.abs());
                assert!(distance < 2e-5, "{name} at {x:?}: z {latent:?}, the library's {z:?}");
                farthest.z = farthest.z.max(distance);
            }
            let distance = |back: &[f64]| {
                let distances =
                    back.iter().zip(&x).map(|(back, x)| (back - f64::from(*x)).abs() / (1.0 + f64::from(x.abs())));
                distances.fold(0.0, f64::max)
            };
            let mut back = latent;
            layers.forward(&mut back, &[]);
            farthest.round_trip = farthest.round_trip.max(distance(&double(&back)));
            farthest.their_round_trip = farthest.their_round_trip.max(distance(&theirs));
            let mut back = scorer.log_prob_f64(&double(&x), &[]).0;
            layers.forward_f64(&mut back, &[]);
            farthest.round_trip_f64 = farthest.round_trip_f64.max(distance(&back));
        }
        // In f32 a reading comes back as nearly as it does with the library.
        assert!(farthest.round_trip < 3.0 * farthest.their_round_trip, "{name}: {farthest:?}");
        assert!(farthest.round_trip_f64 < 1e-6, "{name}: {farthest:?}");
        println!("{name}: {farthest:?}");
    }
}

/// Another value of a sidecar.
fn with(name: &str, field: &str, value: Option<Value>) -> Vec<u8> {
    let mut meta = serde_json::from_slice::<Value>(&read(&format!("{name}.json"))).expect("vectors")["meta"].clone();
    let fields = meta.as_object_mut().expect("fields");
    match value {
        Some(value) => fields.insert(field.to_owned(), value),
        None => fields.remove(field),
    };
    serde_json::to_vec(&meta).expect("JSON")
}

fn refusal(weights: &[u8], sidecar: &[u8]) -> String {
    match Import::new(weights, sidecar) {
        Ok(_) => panic!("it was imported"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_the_weights_do_not_hold_is_asked_for_by_name() {
    let behind = "(the state dictionary does not hold it)";
    for (name, field, needed_for) in [
        ("zuko_maf", "lib", "the library and its version, such as `zuko 1.6.0`"),
        ("zuko_maf", "flow", "the class of the flow, `MAF`, `NSF`, `NICE` or `RealNVP`"),
        ("zuko_maf", "activation", "the nets' activation, such as `relu`"),
        (
            "zuko_maf",
            "slope",
            "zuko's bound of scales, whose default is 1e-3 up to version 1.0.0 and from 1.5.0 on, and 1e-4 between them",
        ),
        ("zuko_nsf_ar", "bins", "the number of bins of a spline"),
        ("zuko_nsf_ar", "bound", "where a spline ends"),
        ("nflows_maf_bn", "eps_scale", "what an affine autoregressive layer adds to its scale"),
        ("nflows_maf_bn", "bn_eps", "what a batch normalization adds to its variance"),
        ("nflows_rq_coupling_lu", "lu_eps", "what is added to the diagonal of an LU-decomposed linear layer"),
        ("nflows_rq_coupling_lu", "tail_bound", "where a spline ends"),
        ("nflows_rq_coupling_lu", "min_bin", "the smallest share of a bin"),
        ("nflows_rq_coupling_lu", "min_deriv", "the smallest derivative of a spline"),
        ("nflows_simple_realnvp", "scale", "the scale of an affine coupling, such as `sigmoid(u+2)+1e-3`"),
        ("normflows_affine_coupling", "flow", "the scale of an affine coupling, `exp`, `sigmoid` or `sigmoid_inv`"),
    ] {
        let field_of_error = if name.starts_with("normflows") { "scale_map" } else { field };
        let expected = format!("the sidecar has no `{field_of_error}`: {needed_for} {behind}");
        assert_eq!(refusal(&read(&format!("{name}.safetensors")), &with(name, field, None)), expected);
    }
}

#[test]
fn options_that_cannot_be_imported_are_named() {
    let unnamed = with("normflows_affine_coupling", "permute_mode", None);
    let cases = [
        (
            "zuko_maf",
            with("zuko_maf", "flow", Some(json!("NAF"))),
            "the flow `NAF` cannot be imported: of zuko's flows, `MAF`, `NSF`, `NICE` and `RealNVP` can",
        ),
        (
            "zuko_maf",
            with("zuko_maf", "activation", Some(json!("SiLU"))),
            "the activation `SiLU` cannot be imported: nets have `relu`, `elu` or `tanh`",
        ),
        (
            "zuko_maf",
            with("zuko_maf", "lib", Some(json!("pyro 1.9"))),
            "the library `pyro 1.9` cannot be imported: `zuko`, `nflows` and `normflows` can",
        ),
        (
            "zuko_maf",
            with("zuko_maf", "slpoe", Some(json!(1e-3))),
            "the sidecar's `slpoe` is not a field that an import knows",
        ),
        (
            "zuko_maf",
            with("zuko_maf", "slope", Some(json!(-1))),
            "the sidecar's `slope` is -1, expected a positive number",
        ),
        (
            "zuko_maf",
            with("zuko_maf", "features", Some(json!(["a"]))),
            "the sidecar's `features` is [\"a\"], expected 4 names",
        ),
        (
            "zuko_nsf_ar",
            with("zuko_nsf_ar", "bins", Some(json!(8))),
            "`transform.transforms.0.hyper`: gives 56 parameters, but 4 features take 23 each",
        ),
        (
            "nflows_rq_coupling_lu",
            with("nflows_rq_coupling_lu", "bins", Some(json!(6))),
            "`_transform._transforms.2.transform_net` cannot be imported: a feature has 14 parameters, a spline of 6 bins 17",
        ),
        (
            "nflows_rq_coupling_lu",
            with("nflows_rq_coupling_lu", "tails", Some(json!("circular"))),
            "tails `circular` cannot be imported: splines have `linear` tails",
        ),
        (
            "nflows_maf_bn",
            with("nflows_maf_bn", "num_blocks", Some(json!(3))),
            "`_transform._transforms.1.autoregressive_net`: has 2 blocks, the sidecar's `num_blocks` is 3",
        ),
        (
            "nflows_simple_realnvp",
            with("nflows_simple_realnvp", "scale", Some(json!("softplus(u)"))),
            "the scale `softplus(u)` cannot be imported: scales of couplings are `sigmoid(u+2)+1e-3`",
        ),
        (
            "normflows_affine_coupling",
            unnamed,
            "`flows.1` cannot be imported: it has no tensors, and the sidecar's `permute_mode` does not say that it swaps",
        ),
        (
            "normflows_affine_coupling",
            with("normflows_affine_coupling", "leaky", Some(json!(0.1))),
            "`leaky` of 0.1 cannot be imported: nets have no leaky units",
        ),
    ];
    for (name, sidecar, expected) in cases {
        assert_eq!(refusal(&read(&format!("{name}.safetensors")), &sidecar), expected);
    }
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let (maf, made) = (read("zuko_maf.safetensors"), read("nflows_maf_bn.safetensors"));
    let changed = |file: &[u8], change: &dyn Fn(&mut Tensors)| {
        let mut tensors = Tensors::of(file);
        change(&mut tensors);
        tensors.file()
    };
    let net = "_transform._transforms.1.autoregressive_net";
    let cases: [(&str, Vec<u8>, String); 9] = [
        (
            "zuko_maf",
            changed(&maf, &|tensors| tensors.floats("transform.extra", &[1], &[0.0])),
            "the weights have `transform.extra`, which no part of the import reads: the density would be another one"
                .to_owned(),
        ),
        (
            "zuko_maf",
            changed(&maf, &|tensors| tensors.floats("transform.transforms.0.hyper.0.bias", &[15], &[0.0; 15])),
            "`transform.transforms.0.hyper.0.bias` has the shape [15], expected 16 values".to_owned(),
        ),
        (
            "zuko_maf",
            changed(&maf, &|tensors| tensors.integers("transform.transforms.1.order", &[0, 1, 2, 3])),
            "`transform.transforms.1.hyper`: the outputs of feature 0 see others than those before it in its order"
                .to_owned(),
        ),
        (
            "zuko_maf",
            changed(&maf, &|tensors| {
                tensors.0.remove("base.scale");
            }),
            "the weights have no `base.scale`".to_owned(),
        ),
        (
            "zuko_maf",
            changed(&maf, &|tensors| tensors.floats("base.loc", &[4], &[f64::NAN, 0.0, 0.0, 0.0])),
            "`base.loc`: holds NaN, expected finite numbers".to_owned(),
        ),
        (
            "nflows_maf_bn",
            changed(&made, &|tensors| tensors.floats(format!("{net}.context_layer.bias"), &[16], &[0.0; 16])),
            format!(
                "`{net}.context_layer.bias` cannot be imported: the net is conditioned on a context in a way that none of ours is"
            ),
        ),
        (
            "nflows_maf_bn",
            changed(&made, &|tensors| {
                tensors.floats(format!("{net}.blocks.0.batch_norm_layers.0.bias"), &[16], &[0.0; 16]);
            }),
            format!("`{net}.blocks.0.batch_norm_layers.0.bias` cannot be imported: the net normalizes batches within"),
        ),
        (
            "nflows_maf_bn",
            changed(&made, &|tensors| tensors.integers(format!("{net}.initial_layer.degrees"), &[1; 16])),
            format!("`{net}.initial_layer.mask`: is not the mask of the degrees beside it"),
        ),
        (
            "nflows_maf_bn",
            changed(&made, &|tensors| tensors.integers("_transform._transforms.0._permutation", &[0, 1, 2, 2])),
            "`_transform._transforms.0._permutation`: is no permutation of 4 features".to_owned(),
        ),
    ];
    for (name, weights, expected) in cases {
        assert_eq!(refusal(&weights, &read(&format!("{name}.json"))), expected);
    }
    let sidecar = read("zuko_maf.json");
    let cannot = "the weights cannot be read as safetensors: the file ends within";
    assert_eq!(refusal(&maf[..5], &sidecar), format!("{cannot} its first eight bytes"));
    assert_eq!(refusal(&maf[..100], &sidecar), format!("{cannot} its header"));
    assert!(refusal(&maf[..maf.len() - 1], &sidecar).starts_with(&format!("{cannot} `transform.transforms.")));
    assert!(refusal(&maf, b"[]").starts_with("the sidecar cannot be read: it is no JSON object"));
}

#[test]
fn a_calibration_gives_an_alarm_and_none_gives_none() {
    let json = read("zuko_maf.json");
    let vectors: Value = serde_json::from_slice(&json).expect("vectors");
    let import = Import::new(&read("zuko_maf.safetensors"), &json).expect("a model");
    assert_eq!(import.names(), ["x0", "x1", "x2", "x3"]);
    let readings = rows(&vectors, "x");
    let far = [300.0; 4];
    let silent = import.model().expect("a model");
    assert!(!silent.scorer().assess(&far, &[]).expect("a score").alarm);
    let values: Vec<f32> = single(&readings.concat());
    let matrix = flowlet_trainer::data::Matrix::new(readings.len(), 4, values);
    let model = import.calibrated(&matrix, 0.1).expect("a model");
    let said = model.scorer().assess(&far, &[]).expect("a score");
    assert!(said.alarm && said.p_value == 1.0 / 17.0, "{said:?}");
    assert_eq!(model.metadata().training.calibration_rows, 16);
    let again = Model::from_bytes(&model.to_bytes()).expect("its own file");
    assert_eq!(again.scorer().assess(&far, &[]).expect("a score").log_prob, said.log_prob);
    let few = import.calibrated(&matrix, 0.01).expect_err("too few rows");
    assert_eq!(few.to_string(), "a false-alarm rate of 0.01 needs at least 99 held-back readings, found 16");
}
