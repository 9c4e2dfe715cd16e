use serde_json::json;

/// Component name that makes the HCL name just the plugin's name, `provisioner "disinherit"`
/// (Packer 1.7 and later).
pub const DEFAULT_COMPONENT: &str = "-packer-default-plugin-name-";

/// The answer to `describe`, one JSON object without a newline.
///
/// `version` has no leading `v` and agrees with the name under which a release is installed.
/// `protocol_version` v2 says that the schema can be had as protobuf.
#[must_use]
pub fn describe_json(version: &str) -> String {
    json!({
        "version": version,
        "sdk_version": "0.6.10",
        "api_version": "x5.0",
        "builders": [],
        "post_processors": [],
        "provisioners": [DEFAULT_COMPONENT],
        "datasources": [],
        "protocol_version": "v2",
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_are_present() {
        let value: serde_json::Value = serde_json::from_str(&describe_json("0.1.0")).unwrap();
        assert_eq!(value["provisioners"], json!(["-packer-default-plugin-name-"]));
        for empty in ["builders", "post_processors", "datasources"] {
            assert_eq!(value[empty], json!([]), "{empty}");
        }
        assert_eq!(value["version"], "0.1.0");
    }
}
