//! The shortest program with a model in it: `cargo run --package flowlet-firmware --example score`.

mod rig {
    include!("rig.rs"); // written by `flowlet fit`, and reads rig.flow beside it
}

fn judge(reading: &[f32; rig::D]) -> &'static str {
    match rig::MODEL.assess(reading, &[]) {
        Ok(assessment) if assessment.alarm => "alarm",
        Ok(_) => "normal",
        Err(_) => "sensor fault",
    }
}

fn main() {
    let usual = [35.582, 41.234, 38.426, 30.566, 0.541, 46.424, 2.126, 67.918];
    let readings = [("usual", usual), ("hot", usual.map(|x| 2.0 * x)), ("broken", usual.map(|_| f32::NAN))];
    let features: Vec<_> =
        rig::FEATURES.iter().zip(rig::UNITS).map(|(name, unit)| format!("{name} [{unit}]")).collect();
    println!("{}", features.join(", "));
    println!("{} bytes of flash and at most {} of stack", rig::Model::FLASH, rig::Model::RAM);
    for (name, reading) in readings {
        println!("{name}: {}, {:?}", judge(&reading), rig::MODEL.assess(&reading, &[]));
    }
}
