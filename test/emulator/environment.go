/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import "os"

// Environment points the AWS SDK or CLI of another process at an endpoint, as a caller
// with this access key id, and away from the account of whoever runs it.
func Environment(endpoint, region, accessKeyID string) []string {
	return []string{
		"AWS_ENDPOINT_URL_EC2=" + endpoint,
		"AWS_REGION=" + region,
		"AWS_ACCESS_KEY_ID=" + accessKeyID,
		"AWS_SECRET_ACCESS_KEY=secret", // Nobody checks it.
		"AWS_SESSION_TOKEN=",
		"AWS_PROFILE=",
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"AWS_EC2_METADATA_DISABLED=true",
	}
}
