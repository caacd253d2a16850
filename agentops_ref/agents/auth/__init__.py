"""Authentication and authorisation of whoever asks an agent. Taught in chapter 7.

```
token → Verifier → Identity → Request → Caller → Registry (agent's tools ∩ role's tools)
                        └→ TokenClient.exchanged(identity, next hop) → token for that hop alone
```
"""

from agentops_ref.agents.auth.keys import Keys
from agentops_ref.agents.auth.roles import Permissions, RoleGated
from agentops_ref.agents.auth.tokens import Refusal, TokenRefused, Verifier, claims_of

__all__ = ["Keys", "Permissions", "Refusal", "RoleGated", "TokenRefused", "Verifier", "claims_of"]
