//! The types of health metrics and the LOINC codes by which they are known.
//!
//! The types are the contract's; the codes are those that laboratories and
//! devices commonly send for them. A type without codes can only be named as
//! `type`.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Each `type` of a metric, with its LOINC codes.
const TYPES: [(&str, &[&str]); 42] = [
    ("blood_pressure_systolic", &["8480-6"]),
    ("blood_pressure_diastolic", &["8462-4"]),
    ("hemoglobin_a1c", &["4548-4", "17856-6", "59261-8", "4549-2"]),
    ("hdl_cholesterol", &["2085-9", "14646-4"]),
    ("ldl_cholesterol", &["13457-7", "18262-6", "2089-1", "22748-8"]),
    ("total_cholesterol", &["2093-3", "14647-2"]),
    ("triglycerides", &["2571-8", "14927-8"]),
    ("blood_urea_nitrogen", &["3094-0", "6299-2"]),
    ("creatinine", &["2160-0", "38483-4"]),
    ("hemoglobin", &["718-7"]),
    ("hematocrit", &["4544-3", "20570-8"]),
    ("total_serum_iron", &["2498-4"]),
    ("thyroid_stimulating_hormone", &["3016-3", "11580-8"]),
    ("free_thyroxine", &["3024-7"]),
    ("free_triiodothyronine", &["3051-0"]),
    ("total_triiodothyronine", &["3053-6"]),
    ("cd4_cell_count", &["24467-3"]),
    ("hiv_viral_load", &["20447-9", "25836-8"]),
    ("inr", &["6301-6", "34714-6"]),
    ("free_testosterone", &["2991-8"]),
    ("total_testosterone", &["2986-8"]),
    ("c_reactive_protein", &["1988-5", "30522-7"]),
    ("prostate_specific_antigen", &["2857-1"]),
    ("cotinine", &["10365-5", "10366-3"]),
    ("c_peptide", &["1986-9"]),
    ("blood_pressure", &["85354-9", "55284-4"]),
    ("blood_glucose", &["2339-0", "2345-7", "1558-6", "15074-8", "14749-6", "2340-8", "41653-7"]),
    ("weight", &["29463-7", "3141-9", "3142-7"]),
    ("heart_rate", &["8867-4"]),
    ("body_fat_percentage", &["41982-0"]),
    ("body_mass_index", &["39156-5"]),
    ("body_temperature", &["8310-5", "8331-1"]),
    ("forced_expiratory_volume1", &["20150-9"]),
    ("forced_vital_capacity", &["19868-9", "19876-2"]),
    ("lean_body_mass", &["91557-9"]),
    ("nausea_level", &[]),
    ("oxygen_saturation", &["59408-5", "2708-6"]),
    ("pain_level", &["72514-3"]),
    ("peak_expiratory_flow_rate", &["33452-4", "19935-6"]),
    ("peripheral_perfusion_index", &["61006-3"]),
    ("respiratory_rate", &["9279-1"]),
    ("inhaler_usage", &[]),
];

/// The names under which clients send LOINC as a code system.
const SYSTEMS: [&str; 4] = ["loinc", "http://loinc.org", "urn:oid:2.16.840.1.113883.6.1", "2.16.840.1.113883.6.1"];

/// The types by their codes.
static BY_CODE: LazyLock<HashMap<&str, &str>> =
    LazyLock::new(|| TYPES.iter().flat_map(|(name, codes)| codes.iter().map(|code| (*code, *name))).collect());

/// The type of this name.
pub fn type_named(name: &str) -> Option<&'static str> {
    TYPES.iter().map(|(known, _)| *known).find(|known| *known == name)
}

/// The type that a code stands for, where it is LOINC's and known here.
pub fn type_of_code(system: &str, code: &str) -> Option<&'static str> {
    let loinc = SYSTEMS.iter().any(|known| known.eq_ignore_ascii_case(system.trim()));
    BY_CODE.get(code.trim()).filter(|_| loinc).copied()
}

/// All types, for a client that sent another.
pub fn type_names() -> String {
    TYPES.map(|(name, _)| name).join(", ")
}
