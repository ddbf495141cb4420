#pragma once

#include "tests/support/temp_folder.hpp"

#include <string>

namespace warp::testing {

/// A certificate authority that is made anew, valid for a day, and what it signs; PEM files in a
/// temporary folder. Throws when OpenSSL refuses.
class test_certificates {
public:
  test_certificates();

  struct files {
    std::string cert_file, key_file;
  };
  [[nodiscard]] std::string ca_file() const { return folder_ / "ca.pem"; }
  /// A certificate for a server at this IP address, which may also be shown by a client.
  [[nodiscard]] files issue(const std::string& name, const std::string& ip = "127.0.0.1");

private:
  temp_folder folder_;
};

} // namespace warp::testing
