#include "cluster/links/tls_stream.hpp"

#include <fstream>
#include <iterator>
#include <kj/debug.h>

namespace warp::cluster::links {

namespace {

std::string text_of(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  KJ_REQUIRE(in.good(), "cannot read a TLS file", path.c_str());
  return {std::istreambuf_iterator<char>{in}, {}};
}

kj::StringPtr pem(const std::string& text) {
  return {text.c_str(), text.size()};
}

} // namespace

kj::Own<kj::TlsContext> make_tls(const tls_files& files) {
  const auto certificate = text_of(files.certificate);
  const auto key = text_of(files.key);
  const auto authority = text_of(files.authority);
  const kj::TlsKeypair pair{kj::TlsPrivateKey{pem(key)}, kj::TlsCertificate{pem(certificate)}};
  const kj::TlsCertificate trusted{pem(authority)};
  kj::TlsContext::Options options;
  options.useSystemTrustStore = false;
  options.verifyClients = true;
  options.trustedCertificates = kj::arrayPtr(&trusted, 1);
  options.defaultKeypair = pair;
  return kj::heap<kj::TlsContext>(kj::mv(options));
}

kj::Promise<kj::Own<kj::AsyncIoStream>> secure_server(kj::Maybe<kj::Own<kj::TlsContext>>& tls,
                                                      kj::Own<kj::AsyncIoStream> stream) {
  KJ_IF_MAYBE (context, tls) return (*context)->wrapServer(kj::mv(stream));
  return kj::mv(stream);
}

kj::Promise<kj::Own<kj::AsyncIoStream>> secure_client(kj::Maybe<kj::Own<kj::TlsContext>>& tls,
                                                      const std::string& name,
                                                      kj::Own<kj::AsyncIoStream> stream) {
  KJ_IF_MAYBE (context, tls) return (*context)->wrapClient(kj::mv(stream), pem(name));
  return kj::mv(stream);
}

} // namespace warp::cluster::links
