//! Variational inference against partition functions that are known by other means.

use flowlet_tests::variational::{Chain, Chained};

/// A small chain: its free energy by the weights of a flow's samples is the transfer operator's.
#[test]
fn the_free_energy_of_a_chain_is_found() {
    for mass in [1.0, -0.5] {
        let chain = Chain { sites: 4, mass, coupling: 0.25 };
        let result = Chained::measure(chain, 3, 600, 20_000).expect("fits");
        let (found, log_z) = (result.found, -result.exact);
        assert!(result.deviation().abs() < 4.0, "{result}");
        // The bound holds, and is not far off; nor are the errors large.
        let elbo = found.elbo();
        assert!(elbo.value <= log_z + 4.0 * elbo.standard_error && elbo.value > log_z - 0.1, "{result}");
        assert!(elbo.value <= found.log_normalization.value, "{result}");
        assert!(found.log_normalization.standard_error < 0.01 && found.effective > 0.7, "{result}");
    }
}
