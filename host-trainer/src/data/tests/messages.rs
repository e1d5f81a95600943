//! Every way in which a table is refused, with the exact words.

use std::path::Path;

use super::super::{DataError, Missing, Readings, Roles, Split, SplitOptions, Table};
use super::{fit, label, table};

fn message(text: &str) -> String {
    message_with(text, &Roles::default())
}

fn message_with(text: &str, roles: &Roles) -> String {
    fit(text, roles).expect_err("the table should be refused").to_string()
}

fn message_of_bytes(bytes: &[u8]) -> String {
    Table::parse("readings.csv", bytes).expect_err("the bytes should be refused").to_string()
}

#[test]
fn unreadable_file() {
    let error = Table::read(Path::new("no/such.csv")).unwrap_err();
    assert!(matches!(error, DataError::Unreadable { .. }));
    assert_eq!(error.to_string(), "no/such.csv: cannot be read: No such file or directory (os error 2)");
}

#[test]
fn empty_file() {
    let expected = "readings.csv: is empty (expected a header that names the columns, then one reading a line)";
    for text in ["", "\n\n", "\u{feff}", "  \n \r\n"] {
        assert_eq!(message(text), expected, "{text:?}");
    }
}

#[test]
fn header_only() {
    assert_eq!(message("ts1,ts2\n"), "readings.csv: has a header but no readings");
}

#[test]
fn other_encodings() {
    assert_eq!(message_of_bytes(b"\xFF\xFEa\0,\0b\0"), "readings.csv: is UTF-16 text (save it as \"CSV UTF-8\")");
    assert_eq!(
        message_of_bytes(b"a,b\r\n1,2\r\n3,\xB0C\r\n"),
        "readings.csv:3: the byte 0xB0 is not UTF-8 (save the file as \"CSV UTF-8\")"
    );
}

#[test]
fn header_of_numbers() {
    assert_eq!(
        message("\n1.5,2\n3,4\n"),
        "readings.csv:2: expected a header that names the columns, found numbers, `1.5` first (add a header)"
    );
}

#[test]
fn unnamed_column() {
    assert_eq!(
        message(",ts1\n0,2\n"),
        "readings.csv:1: column 1 has no name (name it in the header; an index column that pandas wrote can be left out with `to_csv(.., index=False)`)"
    );
}

#[test]
fn duplicate_column() {
    assert_eq!(
        message("ts1,vs1, ts1\n1,2,3\n"),
        "readings.csv:1: columns 1 and 3 are both named `ts1` (rename one of them)"
    );
}

#[test]
fn ragged_rows() {
    assert_eq!(
        message("a,b,c\n1,2,3\n\n4,5\n"),
        "readings.csv:4: expected 3 cells as in the header, found 2 (fill in the missing cells, or remove the row)"
    );
    assert_eq!(
        message("a,b\r\n1,2\r\n1,5,2\r\n"),
        "readings.csv:3: expected 2 cells as in the header, found 3 (a comma inside a cell must be quoted, and decimals take a point)"
    );
    assert_eq!(
        message("a,b\n1,2\n3,\"4\n5,6\n7,8\"\n9,\"10\n11,12,\"\n"),
        "readings.csv:3: column `b`: `4\\n5,6\\n7,8` is not a number (ignore the column with --ignore b, or remove the row)"
    );
    assert_eq!(
        message("a,b,c\n1,2,3\n3,\"4,5\n5,6,6\n"),
        "readings.csv:3: expected 3 cells as in the header, found 2 (a quote that opens on this line is closed on another, or never)"
    );
}

#[test]
fn text_in_a_column() {
    assert_eq!(
        message("ts1,vs1\n1,2\n\"3\",4\nn/a,4\n"),
        "readings.csv:4: column `ts1`: `n/a` is not a number (ignore the column with --ignore ts1, or remove the row)"
    );
    assert_eq!(
        message("time,vs1\n12:00,2\n12:01,4\n"),
        "readings.csv:2: column `time`: `12:00` is not a number, nor is anything in this column (ignore it with --ignore time)"
    );
    let long = "x".repeat(100);
    assert_eq!(
        message(&format!("a,b\n1,2\n{long},2\n")),
        format!(
            "readings.csv:3: column `a`: `{}..` is not a number (ignore the column with --ignore a, or remove the row)",
            "x".repeat(40)
        )
    );
}

#[test]
fn lines_are_counted_as_in_an_editor() {
    // A quoted line break, a blank line and either line ending before the bad cell on line 7.
    for end in ["\n", "\r\n"] {
        let text = ["note,a", "\"two", "lines\",1", "", "x,2", "y,3", "z,bad", ""].join(end);
        let roles = Roles { ignore: vec!["note".to_owned()], ..Roles::default() };
        assert!(message_with(&text, &roles).starts_with("readings.csv:7: column `a`: `bad`"), "{end:?}");
    }
}

#[test]
fn missing_cells() {
    assert_eq!(
        message("a,b\n1,2\n1, \n"),
        "readings.csv: 1 of 2 rows has missing cells (empty or NaN), in `b` (1); the first on line 3 (leave such rows out with --missing drop, have them filled in for training with --missing impute, or ignore the column with --ignore b)"
    );
    assert_eq!(
        message_with("a,b,c,y\n1,2,3,0\n,2,NaN,0\n,,,1\n4,5,6,0\n7,8,nan,0\n7,8,NA,0\n", &label("y")),
        "readings.csv: 3 of 5 rows have missing cells (empty or NaN), in `a` (1), `c` (3); the first on lines 3, 6, 7 (leave such rows out with --missing drop, have them filled in for training with --missing impute, or ignore columns with --ignore a,c)"
    );
    let table = table("a,b\n1,2\n3,\n");
    let features = ["a".to_owned(), "b".to_owned()];
    assert_eq!(
        Readings::with_features(&table, &features, &Roles::default()).unwrap_err().to_string(),
        "readings.csv: 1 of 2 rows has missing cells (empty or NaN), in `b` (1); the first on line 3 (leave such rows out with --missing drop, or fill the cells in)"
    );
    let drop = Roles { missing: Missing::Drop, ..Roles::default() };
    assert_eq!(
        message_with("a,b\n1,\n3,\n", &drop),
        "readings.csv: 2 of 2 rows have missing cells (empty or NaN), in `b` (2), so none is complete (ignore the column with --ignore b)"
    );
    assert_eq!(
        message_with("a,b\n1,2\n,x\n", &drop),
        "readings.csv:3: column `b`: `x` is not a number (ignore the column with --ignore b, or remove the row)"
    );
}

#[test]
fn not_finite() {
    for found in ["inf", "-inf", "+Infinity"] {
        assert_eq!(
            message(&format!("a,b\n1,2\n1,{found}\n")),
            format!(
                "readings.csv:3: column `b`: `{found}` is not a finite number (ignore the column with --ignore b, or remove the row)"
            )
        );
    }
}

#[test]
fn beyond_f32() {
    assert_eq!(
        message("a,b\n1,2\n-1e39,4\n"),
        "readings.csv:3: column `a`: `-1e39` is beyond a 32-bit float, which ends at 3.4e38 (use a larger unit, or remove the row)"
    );
}

#[test]
fn decimal_comma() {
    assert_eq!(message("a;b\n1;2\n1,5;4\n"), "readings.csv:3: column `a`: `1,5` has a decimal comma (write 1.5)");
}

#[test]
fn label_other_than_0_and_1() {
    for found in ["2", "yes", "", "0.5", "NaN"] {
        assert_eq!(
            message_with(&format!("a,anomaly\n1,0\n2,{found}\n"), &label("anomaly")),
            format!("readings.csv:3: column `anomaly`: the label `{found}` is neither 0 (normal) nor 1 (anomaly)")
        );
    }
}

#[test]
fn unknown_columns() {
    assert_eq!(
        message_with("ts1,vs1,anomaly\n1,2,0\n", &label("anomoly")),
        "readings.csv: there is no column `anomoly` (--label), did you mean `anomaly`?; its columns are `ts1`, `vs1`, `anomaly`"
    );
    let ignore = Roles { ignore: vec!["cycle".to_owned()], ..Roles::default() };
    assert_eq!(
        message_with("ts1,vs1\n1,2\n", &ignore),
        "readings.csv: there is no column `cycle` (--ignore); its columns are `ts1`, `vs1`"
    );
    let group = Roles { group: Some("TS1".to_owned()), ..Roles::default() };
    assert!(message_with("ts1,vs1\n1,2\n", &group).contains("`TS1` (--group), did you mean `ts1`?"));
}

#[test]
fn unit_of_no_feature() {
    let mut readings =
        Readings::for_fitting(&table("cycle,ts1,vs1\n1,2,3\n4,5,6\n"), &Roles::default()).expect("numbers");
    readings.name_units(&[("vs1".to_owned(), "mm/s".to_owned())]).expect("a feature");
    assert_eq!(readings.units, ["", "", "mm/s"]);
    let error = readings.name_units(&[("ts9".to_owned(), "degC".to_owned())]).unwrap_err().to_string();
    assert_eq!(
        error,
        "readings.csv: `ts9` has a unit (--unit) but is no feature; the features are `cycle`, `ts1`, `vs1`"
    );
}

#[test]
fn missing_feature() {
    let many: Vec<String> = (0..30).map(|i| format!("x{i}")).collect();
    let table = table(&format!("{}\n{}\n", many.join(","), vec!["1"; 30].join(",")));
    let features = ["pressure".to_owned()];
    let error = Readings::with_features(&table, &features, &Roles::default()).unwrap_err().to_string();
    assert!(error.starts_with(
        "readings.csv: there is no column `pressure` (a feature of the readings that are fitted); its columns are `x0`, "
    ));
    assert!(error.ends_with("`x23` and 6 more"), "{error}");
}

#[test]
fn one_column_with_two_roles() {
    let roles = Roles { group: Some("a".to_owned()), ..label("a") };
    assert_eq!(message_with("a,b\n0,1\n", &roles), "column `a` is given both as --label and as --group (give it once)");
    let twice = Roles { ignore: vec!["a".to_owned(), "a".to_owned()], ..Roles::default() };
    assert!(fit("a,b\nx,1\ny,2\n", &twice).is_ok());
}

#[test]
fn nothing_to_fit() {
    assert_eq!(
        message_with("a,b\n0,1\n", &Roles { ignore: vec!["b".to_owned()], ..label("a") }),
        "readings.csv: no column is left to fit: `a`, `b` all have another role"
    );
    assert_eq!(
        message_with("a,b\n1,1\n1,2\n", &label("a")),
        "readings.csv: all 2 rows are labelled 1 in column `a` (fitting needs normal readings, labelled 0)"
    );
}

#[test]
fn constant_columns() {
    // Column b varies over all rows, but not over those that are fitted.
    assert_eq!(
        message_with("a,b,c,y\n1,2,3,0\n1,5,3,1\n1,2,4,0\n", &label("y")),
        "readings.csv: columns `a` (1), `b` (2) are the same in all 2 readings that are fitted, so there is no density to fit (ignore with --ignore a,b)"
    );
    assert_eq!(
        message("a,b\n1,2.5\n2,2.5\n3,2.5\n"),
        "readings.csv: column `b` (2.5) is the same in all 3 readings that are fitted, so there is no density to fit (ignore with --ignore b)"
    );
    assert_eq!(
        message("a,b\n1,2.5\n2,2.50\n"),
        "readings.csv: column `b` (2.5) is the same in all 2 readings that are fitted, so there is no density to fit (ignore with --ignore b)"
    );
    assert_eq!(
        message("a,b\n1,100000.001\n2,100000.002\n"),
        "readings.csv: column `b` is the same in all 2 readings that are fitted as 32-bit floats (100000.0), though the file has `100000.001` and `100000.002` (subtract an offset from the column, or ignore it with --ignore b)"
    );
}

fn rows(count: usize) -> String {
    (0..count).fold("a,b,run\n".to_owned(), |text, i| text + &format!("{i},{},{}\n", (i * 7) % 13, i / 50))
}

fn split_message(rows_of_readings: usize, group: Option<&str>, rate: f32) -> String {
    let ignore = if group.is_none() { vec!["run".to_owned()] } else { Vec::new() };
    let roles = Roles { group: group.map(str::to_owned), ignore, ..Roles::default() };
    let readings = fit(&rows(rows_of_readings), &roles).unwrap();
    let options = SplitOptions { false_alarm_rate: rate, ..SplitOptions::default() };
    Split::new(&readings, &options).expect_err("the split should be refused").to_string()
}

#[test]
fn too_few_rows() {
    assert_eq!(
        split_message(40, None, 0.01),
        "readings.csv: 40 normal readings are too few: 2 features need at least 139, 99 of them held back for calibration (record more, give the held-back readings with --val, or hold back fewer with a higher --false-alarm-rate)"
    );
    let readings = fit(&rows(30), &Roles { ignore: vec!["run".to_owned()], ..Roles::default() }).unwrap();
    assert_eq!(
        Split::with_validation(&readings, &readings, &SplitOptions::default()).unwrap_err().to_string(),
        "readings.csv: 30 normal readings are too few: 2 features need at least 40 (record more)"
    );
}

#[test]
fn rate_too_low_for_the_rows() {
    assert_eq!(
        split_message(100, None, 0.01),
        "readings.csv: a false-alarm rate of 0.01 needs at least 99 held-back normal readings and 50 can be held back (record more, or use --false-alarm-rate 0.02 or higher)"
    );
    assert_eq!(
        split_message(60, None, 0.01),
        "readings.csv: a false-alarm rate of 0.01 needs at least 99 held-back normal readings and 20 can be held back (record more, or use --false-alarm-rate 0.048 or higher)"
    );
    assert_eq!(
        split_message(150, None, 0.01),
        "readings.csv: a false-alarm rate of 0.01 needs at least 99 held-back normal readings and 75 can be held back (record more, or use --false-alarm-rate 0.014 or higher)"
    );
    let readings = fit(&rows(50), &Roles { ignore: vec!["run".to_owned()], ..Roles::default() }).unwrap();
    assert_eq!(
        Split::with_validation(&readings, &readings, &SplitOptions::default()).unwrap_err().to_string(),
        "readings.csv: a false-alarm rate of 0.01 needs at least 99 held-back normal readings and 50 can be held back (record more, or use --false-alarm-rate 0.02 or higher)"
    );
}

#[test]
fn row_without_a_group() {
    let roles = Roles { group: Some("run".to_owned()), ..label("y") };
    assert_eq!(
        message_with("a,run,y\n1,x,0\n2,,1\n3, ,0\n", &roles),
        "readings.csv:4: column `run`: the group is empty (fill it in, remove the row, or leave --group out)"
    );
}

#[test]
fn too_few_groups() {
    assert_eq!(
        split_message(50, Some("run"), 0.5),
        "readings.csv: column `run` has 1 group: calibration holds back whole groups and needs at least 2 (leave --group out, or give readings of other groups with --val)"
    );
}
