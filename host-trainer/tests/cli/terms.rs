//! `fit --order fixed` and `score --terms`: an exact account of a score, feature by feature.

use crate::{Folder, QUICK, cells, readings};

const FIXED: &str = "--family maf --layers 2 --hidden 12 --epochs 60 --false-alarm-rate 0.05 --order fixed --quiet";

#[test]
fn terms_add_up_in_the_order_of_the_columns() {
    let folder = Folder::new();
    folder.write("train.csv", &readings(600, 0, 1));
    folder.succeed(&format!("fit train.csv --out pump.flow --label anomaly --ignore kind,run {FIXED}"));
    assert!(!String::from_utf8(folder.read("pump.rs")).unwrap().contains("Permute"));
    // A pressure that does not follow the temperature, and a reading that has no score.
    folder.write("new.csv", "valve,temperature,pressure\n0.5,40,100\n0.5,45,80\n0.5,,100\n");
    let output = folder.run("score pump.flow new.csv --terms");
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = cells(&text);
    let names = ["temperature", "pressure", "valve"].map(|name| [format!("{name}.log_prob"), format!("{name}.z")]);
    let usual = ["row", "log_prob", "score", "p_value", "alarm"];
    assert_eq!(lines[0][..5], usual);
    assert_eq!(lines[0][5..], names.concat());
    let number = |row: usize, column: usize| lines[row][column].parse::<f64>().unwrap();
    for row in [1, 2] {
        let sum = [5, 7, 9].into_iter().map(|column| number(row, column)).sum::<f64>();
        assert!((sum - number(row, 1)).abs() < 1e-4 * (1.0 + sum.abs()), "{text}");
    }
    // The temperature is as usual, the pressure far below what it suggests.
    assert!(number(2, 6).abs() < 3.0 && number(2, 8) < -5.0, "{text}");
    assert_eq!(lines[3][4..], ["fault", "", "", "", "", "", ""]);
    // Without the option, the lines are as ever.
    let usual = folder.run("score pump.flow new.csv").stdout;
    let cut: String = lines.iter().map(|line| line[..5].join(",") + "\n").collect();
    assert_eq!(String::from_utf8(usual).unwrap(), cut);
}

#[test]
fn models_without_terms_are_refused_with_the_reason_and_the_remedy() {
    let folder = Folder::with_model();
    let couplings = folder.fail("score pump.flow test.csv --terms");
    assert!(couplings.contains("of the family `realnvp`") && couplings.contains("--order fixed"), "{couplings}");
    folder.write("train.csv", &readings(300, 0, 1));
    let fit = "fit train.csv --label anomaly --ignore kind,run --quiet --epochs 3";
    folder.succeed(&format!("{fit} --family maf --layers 2 --hidden 12 --out mixed.flow"));
    let mixed = folder.fail("score mixed.flow test.csv --terms");
    assert!(mixed.contains("are conditioned on each other") && mixed.contains("--order fixed"), "{mixed}");
    folder.succeed(&format!("{fit} --family maf --layers 2 --hidden 12 --order fixed --base mixture --out base.flow"));
    let base = folder.fail("score base.flow test.csv --terms");
    assert!(base.contains("--base normal or student-t"), "{base}");
}

#[test]
fn a_fixed_order_is_of_autoregressive_families_with_nets_that_see_all() {
    let folder = Folder::new();
    folder.write("train.csv", &readings(300, 0, 1));
    let fit = "fit train.csv --label anomaly --ignore kind,run --quiet --order fixed --out no.flow";
    let family = folder.fail(&format!("{fit} {QUICK}"));
    assert!(family.contains("--order fixed") && family.contains("choose --family maf-spline, naf or maf"), "{family}");
    let narrow = folder.fail(&format!("{fit} --family maf --hidden 4"));
    assert!(narrow.contains("--hidden 4") && narrow.contains("at least 8"), "{narrow}");
    assert_eq!(folder.names(), ["train.csv"]);
}
