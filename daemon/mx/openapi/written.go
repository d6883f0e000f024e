package openapi

import "slices"

// written are the operations that no declaration can say; each says why.
func (a *API) written() []Operation {
	return slices.Concat(a.inboundOperations(), a.protectedIPOperations(), a.mappingOperations(),
		a.gatewayOperations(), a.ipGroupOperations(), a.dictionaryOperations(), a.dataSetOperations(), a.policyOperations(),
		a.profileOperations(), a.serverOperations(), a.certificateOperations(), a.documentOperations())
}
