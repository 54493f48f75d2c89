/* The numbers of version 2 that its reader and its writer share. */
#ifndef PROTO_PROXY_HEADER_PRIV_H
#define PROTO_PROXY_HEADER_PRIV_H

#define SIGNATURE	 "\r\n\r\n\0\r\nQUIT\n"
#define SIGNATURE_LENGTH 12
#define FIXED_LENGTH	 16 /* with version, family and length */
#define TLV_HEADER	 3
#define SSL_HEADER	 5 /* client, verify */

#define UNIX_PATH_LENGTH 108
#define INET_LENGTH	 12
#define INET6_LENGTH	 36
#define UNIX_LENGTH	 (2 * UNIX_PATH_LENGTH)

enum { VERSION_2 = 2 };
enum { COMMAND_LOCAL, COMMAND_PROXY };
enum { FAMILY_UNSPEC, FAMILY_INET, FAMILY_INET6, FAMILY_UNIX };
enum { PROTOCOL_UNSPEC, PROTOCOL_STREAM, PROTOCOL_DGRAM };

enum {
	TLV_ALPN = 0x01,
	TLV_AUTHORITY = 0x02,
	TLV_CRC32C = 0x03,
	TLV_UNIQUE_ID = 0x05,
	TLV_SSL = 0x20,
	TLV_SSL_VERSION = 0x21,
	TLV_SSL_CN = 0x22,
	TLV_SSL_CIPHER = 0x23,
	TLV_SSL_SIG_ALG = 0x24,
	TLV_SSL_KEY_ALG = 0x25,
	TLV_NETNS = 0x30,
};

#endif
