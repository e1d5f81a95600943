//! What is read from tables that are accepted.

use super::super::{Readings, Roles, Table};
use super::{fit, label, table};

#[test]
fn marks_blanks_quotes_and_line_ends_do_not_matter() {
    let plain = fit("a,b\n1.5,-2\n3e2,4\n", &Roles::default()).unwrap();
    assert_eq!(plain.features, ["a", "b"]);
    assert_eq!(plain.values.values(), [1.5, -2.0, 300.0, 4.0]);
    for text in [
        "\u{feff}a,b\n1.5,-2\n3e2,4\n",
        "a,b\r\n1.5,-2\r\n3e2,4\r\n",
        "a,b\n1.5,-2\n3e2,4",
        "\n a , b\n\n 1.5 ,\t-2\n3e2,+4\n\n  \n",
        "\"a\",\"b\"\n\"1.5\",\"-2\"\n3e2,4.\n",
        "a;b\n1.5;-2\n300;4\n",
        "a\tb\n1.5\t-2\n300\t4\n",
    ] {
        let readings = fit(text, &Roles::default()).unwrap();
        assert_eq!((readings.features, readings.values), (plain.features.clone(), plain.values.clone()), "{text:?}");
    }
}

#[test]
fn numbers_are_the_nearest_float_to_their_text() {
    let readings = fit("a,b\n0.1,16777217\n3.4028235e38,1e-46\n", &Roles::default()).unwrap();
    assert_eq!(readings.values.values(), [0.1_f32, 16_777_216.0, f32::MAX, 0.0]);
}

#[test]
fn roles_leave_columns_and_rows_out() {
    let text = "cycle,a,note,y,b\nx,1,hot,0,2\nz,n/a,cold,1,9\nw,3,,0.0,4\nx,5,,0,6\n";
    let roles = Roles { group: Some("cycle".to_owned()), ignore: vec!["note".to_owned()], ..label("y") };
    let readings = fit(text, &roles).unwrap();
    assert_eq!(readings.features, ["a", "b"]);
    // The row that is labelled 1 is not fitted, so that its text does not matter.
    assert_eq!(readings.values.values(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(readings.anomalies.rows(), 0);
    let groups = readings.groups.unwrap();
    assert_eq!((groups.of_rows, groups.count), (vec![0, 1, 0], 2));
}

#[test]
fn features_of_another_table_match_by_name() {
    let readings =
        Readings::with_features(&table("c,b,a,y\n9,2,1,0\n9,4,3,1\n"), &["a".into(), "b".into()], &label("y"));
    let readings = readings.unwrap();
    assert_eq!(readings.values.values(), [1.0, 2.0]);
    assert_eq!(readings.anomalies.values(), [3.0, 4.0]);
}

#[test]
fn one_column_is_a_table() {
    let readings = fit("a\n1\n2\n", &Roles::default()).unwrap();
    assert_eq!((readings.values.rows(), readings.values.columns()), (2, 1));
    assert!(fit("a\n1\n\"\"\n2\n", &Roles::default()).is_err());
}

#[test]
fn any_bytes_are_read_or_refused() {
    // Every prefix of a table, and every single byte replaced, gives a table or an error, never a panic.
    let bytes = "a,\"b\"\r\n1,\"2\n\"\r\n\u{b0},;\n".as_bytes();
    for end in 0..=bytes.len() {
        let _ = Table::parse("x", &bytes[..end]);
        for replacement in [b'"', b',', b'\n', b'\r', 0, 0xFF, b';'] {
            let mut changed = bytes.to_vec();
            if let Some(byte) = changed.get_mut(end) {
                *byte = replacement;
            }
            if let Ok(table) = Table::parse("x", &changed) {
                let _ = Readings::for_fitting(&table, &Roles::default());
            }
        }
    }
}
