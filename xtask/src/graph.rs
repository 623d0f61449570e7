//! Crates depend only on the layers below them, and protocol crates stay free of I/O.

use std::process::Command;

use serde_json::Value;

use crate::Result;
use crate::command::root;

/// Each package and the workspace packages it may use in shipped code. Dev-dependencies are free.
const LAYERS: &[(&str, &[&str])] = &[
    ("peerline-proto", &[]),
    ("peerline-crypto", &[]),
    ("peerline-stun", &["peerline-proto", "peerline-crypto"]),
    ("peerline-turn", &["peerline-proto", "peerline-crypto", "peerline-stun"]),
    ("peerline-mdns", &["peerline-proto", "peerline-crypto"]),
    ("peerline-ice", &["peerline-proto", "peerline-crypto", "peerline-stun"]),
    (
        "peerline-connectivity",
        &[
            "peerline-proto",
            "peerline-crypto",
            "peerline-stun",
            "peerline-turn",
            "peerline-mdns",
            "peerline-ice",
        ],
    ),
    ("peerline-sdp", &[]),
    ("peerline-dtls", &["peerline-proto", "peerline-crypto"]),
    ("peerline-srtp", &["peerline-proto", "peerline-crypto"]),
    ("peerline-sframe", &["peerline-crypto"]),
    ("peerline-sctp", &["peerline-proto", "peerline-crypto"]),
    ("peerline-datachannel", &["peerline-proto", "peerline-crypto", "peerline-sctp"]),
    ("peerline-rtp", &["peerline-proto"]),
    ("peerline-media", &["peerline-proto", "peerline-crypto", "peerline-rtp", "peerline-sframe"]),
    (
        "peerline-session",
        &[
            "peerline-proto",
            "peerline-crypto",
            "peerline-stun",
            "peerline-ice",
            "peerline-connectivity",
            "peerline-sdp",
            "peerline-rtp",
            "peerline-media",
            "peerline-srtp",
            "peerline-dtls",
            "peerline-sctp",
            "peerline-datachannel",
        ],
    ),
    ("peerline-net", &["peerline-proto"]),
    (
        "peerline-turn-server",
        &[
            "peerline-proto",
            "peerline-crypto",
            "peerline-stun",
            "peerline-turn",
            "peerline-dtls",
            "peerline-net",
        ],
    ),
    (
        "peerline",
        &[
            "peerline-proto",
            "peerline-crypto",
            "peerline-mdns",
            "peerline-dtls",
            "peerline-session",
            "peerline-net",
        ],
    ),
    ("peerline-cli", &["peerline", "peerline-turn-server", "peerline-stun", "peerline-net"]),
    ("peerline-testkit", &["peerline-proto", "peerline-crypto"]),
    (
        "peerline-hot-paths",
        &[
            "peerline-proto",
            "peerline-crypto",
            "peerline-stun",
            "peerline-ice",
            "peerline-sdp",
            "peerline-dtls",
            "peerline-sctp",
            "peerline-session",
            "peerline-testkit",
        ],
    ),
    ("xtask", &[]),
];

/// Crates that do I/O or read entropy; only the packages beside each may use it.
const FENCED: &[(&str, &[&str])] = &[
    ("tokio", &["peerline-net", "peerline-turn-server", "peerline", "peerline-cli"]),
    ("quinn-udp", &["peerline-net"]),
    ("domain", &["peerline-net"]),
    ("rustix", &["peerline-net"]),
    ("socket2", &["peerline-net"]),
    ("webrtc-util", &["peerline-net"]),
    ("netlink-packet-core", &["peerline-net"]),
    ("netlink-packet-route", &["peerline-net"]),
    ("netlink-sys", &["peerline-net"]),
    ("getrandom", &["peerline-net", "peerline-cli"]),
    ("rand", &[]),
];

pub(crate) fn check() -> Result {
    let problems: Vec<String> = packages()?.iter().flat_map(problems_of).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

/// The packages that others can depend on.
pub(crate) fn library_packages() -> Result<Vec<String>> {
    let names = packages()?.into_iter().filter_map(|package| package["name"].as_str().map(str::to_owned));
    Ok(names.filter(|name| name != "xtask").collect())
}

fn packages() -> Result<Vec<Value>> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version=1", "--no-deps", "--locked"])
        .current_dir(root())
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|error| {
        format!("cannot read cargo metadata: {error}: {}", String::from_utf8_lossy(&output.stderr))
    })?;
    Ok(metadata["packages"].as_array().cloned().unwrap_or_default())
}

fn problems_of(package: &Value) -> Vec<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == name) else {
        return vec![format!("package `{name}` has no layer: add it to LAYERS in xtask/src/graph.rs")];
    };
    let dependencies = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
    let shipped = dependencies.iter().filter(|dependency| dependency["kind"].is_null());
    shipped
        .filter_map(|dependency| {
            let used = dependency["name"].as_str()?;
            let is_layer = LAYERS.iter().any(|(layer, _)| *layer == used);
            let fence = FENCED.iter().find(|(fenced, _)| *fenced == used);
            if is_layer && !allowed.contains(&used) {
                Some(format!("`{name}` must not depend on `{used}`: it is not below it"))
            } else if fence.is_some_and(|(_, users)| !users.contains(&name)) {
                Some(format!("`{name}` must not depend on `{used}`: it would no longer be free of I/O"))
            } else {
                None
            }
        })
        .collect()
}
