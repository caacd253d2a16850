"""An OAuth 2.1 authorization server for development, on this machine only. Taught in chapter 7.

It has real keys and keeps the rules that a real one would; what it lacks is real people: whoever
opens its login page is whom they choose to be. So it listens on loopback and nowhere else.

```
/.well-known/oauth-authorization-server  what there is (RFC 8414)
/jwks        public keys                 /register  a client registers itself (RFC 7591)
/authorize   a person agrees: code, with PKCE S256 and nothing else
/token       authorization_code, refresh_token (rotated), client_credentials,
             token exchange (RFC 8693)
/revoke      ends a refresh token and all that came of it (RFC 7009)
```
"""

from agentops_ref.ops.authserver.app import dev_application
from agentops_ref.ops.authserver.grants import Grants
from agentops_ref.ops.authserver.keys import SigningKeys
from agentops_ref.ops.authserver.rules import OAuthError

__all__ = ["Grants", "OAuthError", "SigningKeys", "dev_application"]
