#pragma once

#include "cluster/config.hpp"

#include <string>

namespace warp::cluster {

/// A configuration file with every knob at its default, commented out, with explanation, unit and
/// range: the reference. The copy in deploy/warp.toml.reference is kept true by a test.
std::string config_reference();

/// What is in force and from where, a knob a line, for a terminal.
std::string show_config(const loaded_config& config);
/// The same as a JSON object: {"rpc.listen": {"value": ..., "from": "file", "where":
/// "warp.toml:3"}, ...}.
std::string show_config_json(const loaded_config& config);

} // namespace warp::cluster
