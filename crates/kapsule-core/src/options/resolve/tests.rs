// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

use super::*;
use crate::options::error::known_keys;
use crate::options::{ParsedDefaults, parse_image_defaults};

fn values(json: &str) -> BTreeMap<String, OptionValue> {
    serde_json::from_str(json).unwrap()
}

fn resolve_json(caller: &str, image: &str) -> Result<Options, OptionsError> {
    resolve(&values(caller), &values(image), Isolation::Standard)
}

#[test]
fn the_caller_wins_over_the_image_and_the_image_over_the_schema() {
    let options = resolve_json(
        r#"{"mount_home":true}"#,
        r#"{"mount_home":false,"gpu":false}"#,
    )
    .unwrap();
    assert!(options.mount_home && !options.gpu && options.host_rootfs);
}

#[test]
fn an_image_can_make_it_stricter_and_never_weaker() {
    let level = |caller: &str, image: &str, default| {
        resolve(&values(caller), &values(image), default).map(|options| options.isolation)
    };
    use Isolation::{Privileged, Sealed, Standard};
    for (caller, image, default, expected) in [
        ("{}", "{}", Standard, Standard),
        ("{}", "{}", Sealed, Sealed),
        ("{}", r#"{"isolation":"privileged"}"#, Standard, Standard),
        ("{}", r#"{"isolation":"privileged"}"#, Sealed, Sealed),
        ("{}", r#"{"isolation":"standard"}"#, Sealed, Sealed),
        ("{}", r#"{"isolation":"sealed"}"#, Standard, Sealed),
        ("{}", r#"{"isolation":"standard"}"#, Privileged, Standard),
        (
            r#"{"isolation":"standard"}"#,
            r#"{"isolation":"sealed"}"#,
            Sealed,
            Standard,
        ),
        (r#"{"isolation":"privileged"}"#, "{}", Sealed, Privileged),
    ] {
        assert_eq!(
            level(caller, image, default),
            Ok(expected),
            "{caller} {image}"
        );
    }
    let error = level("{}", r#"{"isolation":"vm"}"#, Standard).unwrap_err();
    assert!(error.to_string().starts_with("the image asks"), "{error}");
    // Who says what they want is not kept from it by what the image cannot mean.
    assert_eq!(
        level(
            r#"{"isolation":"sealed"}"#,
            r#"{"isolation":"x"}"#,
            Standard
        ),
        Ok(Sealed)
    );
}

#[test]
fn a_sealed_container_gets_nothing_that_was_not_asked_for() {
    let sealed = |caller: &str, image: &str| {
        let mut caller = values(caller);
        caller.insert(
            "isolation".to_owned(),
            OptionValue::String("sealed".to_owned()),
        );
        resolve(&caller, &values(image), Isolation::Standard)
    };
    let options = sealed(
        "{}",
        r#"{"gpu":true,"mount_home":true,"host_rootfs":true,"custom_mounts":["/srv"]}"#,
    )
    .unwrap();
    assert!(!options.gpu && !options.mount_home && !options.host_rootfs && options.network);
    assert_eq!(options.custom_mounts, [""; 0]);
    assert!(!sealed("{}", r#"{"network":false}"#).unwrap().network);
    assert!(sealed(r#"{"gpu":true}"#, "{}").unwrap().gpu);
    for (caller, key) in [
        (r#"{"mount_home":true}"#, "mount_home"),
        (r#"{"host_rootfs":true}"#, "host_rootfs"),
        (r#"{"session_bus":true}"#, "session_bus"),
        (r#"{"display":true}"#, "display"),
        (r#"{"custom_mounts":["~/src"]}"#, "custom_mounts"),
    ] {
        let error = sealed(caller, "{}").unwrap_err().to_string();
        assert!(
            error.contains(key) && error.contains("in a sealed container"),
            "{error}"
        );
    }
}

#[test]
fn a_container_that_there_is_changes_what_it_can() {
    let before = resolve_json(r#"{"sound":false}"#, "{}").unwrap();
    let after = before
        .change(&values(r#"{"sound":true,"display":false,"gpu":true}"#))
        .unwrap();
    assert!(after.sound && !after.display && after.agents);
    assert_eq!(
        after
            .change(&values(r#"{"sound":false,"display":true}"#))
            .unwrap(),
        before
    );
    for (changes, text) in [
        (r#"{"gpu":false}"#, "option 'gpu' is decided"),
        (r#"{"isolation":"sealed"}"#, "option 'isolation' is decided"),
        (r#"{"zzz":true}"#, "unknown options: zzz"),
        (r#"{"sound":"loud"}"#, "must be of type boolean"),
    ] {
        let error = before.change(&values(changes)).unwrap_err().to_string();
        assert!(error.contains(text), "{changes}: {error}");
    }
    let sealed = resolve_json(r#"{"isolation":"sealed"}"#, "{}").unwrap();
    let error = sealed.change(&values(r#"{"sound":true}"#)).unwrap_err();
    assert!(
        error.to_string().contains("in a sealed container"),
        "{error}"
    );
}

/// Whoever switches off what another option needs is told what to type.
#[test]
fn what_another_option_needs_is_not_switched_off_alone() {
    let before = resolve_json(r#"{"dbus_mux":true}"#, "{}").unwrap();
    for (changes, needed) in [
        (r#"{"session_mode":false}"#, "session_mode"),
        (r#"{"session_bus":false}"#, "session_bus"),
    ] {
        let error = before.change(&values(changes)).unwrap_err();
        let (by, text) = ("dbus_mux", error.to_string());
        assert_eq!(error, OptionsError::Needed { needed, by });
        let typed = format!("--no-dbus-mux --no-{}'", needed.replace('_', "-"));
        assert!(text.ends_with(&typed), "{text}");
    }
    let off = values(r#"{"session_mode":false,"dbus_mux":false}"#);
    assert!(!before.change(&off).unwrap().session_mode);
    // Who asks for both at once has said two things.
    let both = values(r#"{"session_mode":false,"dbus_mux":true}"#);
    let error = before.change(&both).unwrap_err();
    assert!(matches!(error, OptionsError::Requires { .. }), "{error}");
}

#[test]
fn every_option_of_the_schema_has_a_value() {
    let options = resolve_json("{}", "{}").unwrap();
    assert_eq!(
        options
            .to_map()
            .keys()
            .map(String::as_str)
            .collect::<Vec<_>>(),
        {
            let mut keys = known_keys();
            keys.sort_unstable();
            keys
        }
    );
    for (key, value) in options.to_map() {
        assert_eq!(value, find(&key).unwrap().default_value(), "{key}");
    }
}

#[test]
fn refuses_with_a_reason() {
    let cases = [
        (r#"{"zzz":true,"aaa":true}"#, "unknown options: aaa, zzz"),
        (r#"{"gpu":"yes"}"#, "option 'gpu' must be of type boolean"),
        (
            r#"{"custom_mounts":true}"#,
            "option 'custom_mounts' must be of type array",
        ),
        (r#"{"nvidia_drivers":true,"gpu":false}"#, "needs 'gpu'"),
        (
            r#"{"dbus_mux":true,"session_bus":false}"#,
            "needs 'session_bus'",
        ),
        (
            r#"{"isolation":"privileged","network":false}"#,
            "'network' cannot be off in a privileged container",
        ),
        (r#"{"isolation":"vm"}"#, "'vm' cannot be used"),
        (r#"{"isolation":"tight"}"#, "\"tight\" is not a level"),
        (
            r#"{"isolation":true}"#,
            "option 'isolation' must be of type string",
        ),
        (r#"{"nvidia_drivers":true}"#, "cannot be used"),
        (
            r#"{"isolation":"sealed","dbus_mux":true}"#,
            "'dbus_mux' cannot be used in a sealed container",
        ),
    ];
    for (caller, text) in cases {
        let error = resolve_json(caller, "{}").unwrap_err().to_string();
        assert!(error.contains(text), "{caller}: {error}");
    }
}

#[test]
fn image_defaults_ignore_what_they_cannot_mean_and_refuse_wrong_types() {
    let parsed = parse_image_defaults(r#"{"gpu":false,"future":1}"#).unwrap();
    assert_eq!(parsed.values, values(r#"{"gpu":false}"#));
    assert_eq!(parsed.ignored, ["future"]);
    for not_an_object in ["", "[]", "nonsense", "3"] {
        assert_eq!(
            parse_image_defaults(not_an_object),
            Ok(ParsedDefaults::default())
        );
    }
    assert!(parse_image_defaults(r#"{"gpu":1}"#).is_err());
    assert_eq!(
        parse_image_defaults(r#"{"custom_mounts":["a",2]}"#),
        Err(OptionsError::WrongElement {
            key: "custom_mounts".to_owned(),
            index: 1
        })
    );
}

#[test]
fn devices_are_kinds_each_once_and_not_the_images_to_ask_for() {
    let options =
        resolve_json(r#"{"devices":["1D6B:0002","0403:6001","1d6b:0002"]}"#, "{}").unwrap();
    let kinds: Vec<String> = options.devices.iter().map(ToString::to_string).collect();
    assert_eq!(kinds, ["0403:6001", "1d6b:0002"]);
    let error = resolve_json(r#"{"devices":["0403:6001","mouse"]}"#, "{}").unwrap_err();
    assert!(
        error.to_string().contains("\"mouse\" is no USB device"),
        "{error}"
    );
    let many: Vec<String> = (0..40).map(|n| format!("0403:{n:04x}")).collect();
    let many = serde_json::json!({ "devices": many }).to_string();
    assert_eq!(
        resolve_json(&many, "{}"),
        Err(OptionsError::TooManyDevices(40))
    );
    let sealed = r#"{"isolation":"sealed","devices":["0403:6001"]}"#;
    let error = resolve_json(sealed, "{}").unwrap_err().to_string();
    assert!(
        error.contains("'devices' cannot be used in a sealed container"),
        "{error}"
    );

    let image = parse_image_defaults(r#"{"devices":["0403:6001"],"gpu":false}"#).unwrap();
    assert_eq!(image.ignored, ["devices"]);
    assert_eq!(image.values.keys().collect::<Vec<_>>(), ["gpu"]);
}

#[test]
fn devices_are_taken_back_by_a_list_without_them() {
    let options = resolve_json(r#"{"devices":["0403:6001"]}"#, "{}").unwrap();
    let changed = options.change(&values(r#"{"sound":false}"#)).unwrap();
    assert_eq!(changed.devices, options.devices);
    let changed = options.change(&values(r#"{"devices":[]}"#)).unwrap();
    assert!(changed.devices.is_empty());
}
