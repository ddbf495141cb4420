#include "tests/support/test_certificates.hpp"

#include <cstdio>
#include <memory>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdexcept>

namespace warp::testing {

namespace {

using key_ptr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using certificate_ptr = std::unique_ptr<X509, decltype(&X509_free)>;
using file_ptr = std::unique_ptr<std::FILE, decltype(&std::fclose)>;

void must(bool done, const char* what) {
  if (!done) throw std::runtime_error(std::string{"OpenSSL: "} + what);
}

file_ptr open_file(const std::string& path, const char* mode) {
  file_ptr file{std::fopen(path.c_str(), mode), &std::fclose};
  must(file != nullptr, path.c_str());
  return file;
}

void extend(X509* certificate, X509* issuer, int what, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  auto* extension = X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
  must(extension != nullptr, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

/// Signed by `issuer`, or by itself.
certificate_ptr make(const std::string& name, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key,
                     const std::string& ip) {
  certificate_ptr made{X509_new(), &X509_free};
  must(made != nullptr, "X509_new");
  std::uint64_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
  X509_set_version(made.get(), 2);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(made.get()), serial >> 1);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -3'600);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), 86'400);
  X509_set_pubkey(made.get(), key);
  auto* subject = X509_get_subject_name(made.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  auto* by = issuer == nullptr ? made.get() : issuer;
  X509_set_issuer_name(made.get(), X509_get_subject_name(by));
  if (issuer == nullptr) {
    extend(made.get(), by, NID_basic_constraints, "critical,CA:TRUE");
    extend(made.get(), by, NID_key_usage, "critical,keyCertSign,cRLSign");
  } else {
    extend(made.get(), by, NID_basic_constraints, "critical,CA:FALSE");
    extend(made.get(), by, NID_ext_key_usage, "serverAuth,clientAuth");
    extend(made.get(), by, NID_subject_alt_name, "IP:" + ip);
  }
  must(X509_sign(made.get(), issuer == nullptr ? key : issuer_key, EVP_sha256()) > 0, "X509_sign");
  return made;
}

key_ptr make_key() {
  key_ptr key{EVP_EC_gen("P-256"), &EVP_PKEY_free};
  must(key != nullptr, "EVP_EC_gen");
  return key;
}

void write(const std::string& path, X509* certificate) {
  must(PEM_write_X509(open_file(path, "w").get(), certificate) == 1, path.c_str());
}

void write(const std::string& path, EVP_PKEY* key) {
  must(PEM_write_PrivateKey(open_file(path, "w").get(), key, nullptr, nullptr, 0, nullptr,
                            nullptr) == 1,
       path.c_str());
}

} // namespace

test_certificates::test_certificates() {
  const auto key = make_key();
  const auto ca = make("test CA", key.get(), nullptr, nullptr, {});
  write(ca_file(), ca.get());
  write(folder_ / "ca-key.pem", key.get());
}

test_certificates::files test_certificates::issue(const std::string& name, const std::string& ip) {
  const key_ptr ca_key{
      PEM_read_PrivateKey(open_file(folder_ / "ca-key.pem", "r").get(), nullptr, nullptr, nullptr),
      &EVP_PKEY_free};
  const certificate_ptr ca{
      PEM_read_X509(open_file(ca_file(), "r").get(), nullptr, nullptr, nullptr), &X509_free};
  const auto key = make_key();
  const auto made = make(name, key.get(), ca.get(), ca_key.get(), ip);
  const files to{folder_ / (name + ".pem"), folder_ / (name + "-key.pem")};
  write(to.cert_file, made.get());
  write(to.key_file, key.get());
  return to;
}

} // namespace warp::testing
