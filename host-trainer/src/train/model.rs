//! The weights of a net as plain numbers, for whoever quantizes or writes them.

/// A multilayer perceptron; ReLU follows every layer but the last.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    /// From the input to the output.
    pub layers: Vec<Dense>,
}

/// `output = weights * input + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// Numbers in.
    pub inputs: usize,
    /// Numbers out.
    pub outputs: usize,
    /// Row-major, `weights[output * inputs + input]`.
    pub weights: Vec<f32>,
    /// One per output.
    pub bias: Vec<f32>,
}

impl Dense {
    /// The outputs for one input, in f64, without an activation.
    ///
    /// # Panics
    /// If the input is longer or shorter than the layer's.
    pub fn evaluate(&self, input: &[f64]) -> Vec<f64> {
        assert_eq!(input.len(), self.inputs, "one number per input");
        (0..self.outputs)
            .map(|output| {
                let weights = &self.weights[output * self.inputs..(output + 1) * self.inputs];
                let sum: f64 = weights.iter().zip(input).map(|(weight, input)| f64::from(*weight) * input).sum();
                sum + f64::from(self.bias[output])
            })
            .collect()
    }
}

impl Mlp {
    /// The outputs for one input, in f64.
    ///
    /// # Panics
    /// If the input is longer or shorter than the first layer's.
    pub fn evaluate(&self, input: &[f64]) -> Vec<f64> {
        let mut activations = input.to_vec();
        for (index, dense) in self.layers.iter().enumerate() {
            activations = dense.evaluate(&activations);
            if index + 1 < self.layers.len() {
                activations.iter_mut().for_each(|value| *value = value.max(0.0));
            }
        }
        activations
    }
}
